"""Which test holds which promise: each of I1 to I15, and each fault that a server, a link, a process or a clock may have.

A promise may be held by many more; those named here fail if it is broken. Every name must be that of a test which is collected.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

HISTORY = "faults/history/test_history.py::test_a_history_is_one_that_the_guarantees_allow"
SIMULATION = "model/test_simulation.py::test_the_engine_keeps_its_promises"
INVARIANTS = {
    "I1 monotonic": (HISTORY, SIMULATION, "tiers/test_shown.py::test_a_flush_does_not_bring_back_an_older_version"),
    "I2 local fence": (
        HISTORY,
        SIMULATION,
        "tiers/test_writes.py::test_a_read_after_a_write_sees_it",
        "tiers/test_interrupted_delivery.py"
        "::test_a_write_that_ended_at_any_await_is_seen_and_delivered_if_it_was_committed",
    ),
    "I3 read your writes with a token": (
        HISTORY,
        "contract/test_records_postgres.py::test_a_read_after_a_position_sees_it_whatever_the_replica_lacks",
    ),
    "I4 bounded staleness": (
        HISTORY,
        SIMULATION,
        "tiers/test_jobs.py::test_freshness_ends_a_horizon_after_the_echoed_ping",
        "tiers/test_shown.py::test_a_baseline_bounds_how_far_a_replica_is_behind",
    ),
    "I5 no acknowledged write is lost, none is half visible": (
        HISTORY,
        "faults/test_processes.py::test_kill_9_while_writing_loses_nothing_acknowledged",
        "contract/test_records_faults.py::test_kill_9_of_the_server_loses_nothing_acknowledged",
    ),
    "I6 a value returned was committed": (HISTORY, SIMULATION),
    "I7 at rest every tier equals the database": (HISTORY, SIMULATION),
    "I8 one loader per key": (
        "tiers/test_flights.py::test_fifty_callers_of_one_key_load_once",
        "tiers/test_flights.py::test_threads_load_one_key_once",
        "tiers/test_flights.py::test_readers_wait_for_another_process",
    ),
    "I9 every call ends by its deadline": (
        HISTORY,
        "contract/test_records_faults.py::test_a_paused_server_does_not_move_the_deadline",
        "faults/test_redis_faults.py::test_a_call_ends_by_its_callers_deadline",
        "contract/test_s3.py::test_at_the_deadline_the_caller_leaves_a_paused_server",
    ),
    "I10 stale only where allowed, marked, bounded": (
        HISTORY,
        "tiers/test_reads.py::test_a_failing_database_leaves_values_marked_stale",
        "faults/test_hung_database.py::test_what_is_cached_is_served_and_the_truth_is_refused_in_time",
    ),
    "I11 absence does not outlive an insert": (HISTORY, "tiers/test_reads.py::test_an_absence_is_kept_as_one"),
    "I12 bytes equal their digest": ("contract/test_blob_tier.py::test_wrong_bytes_are_never_returned",),
    "I13 every row has its blob, orphans go": (
        "faults/test_sweep_kills.py::test_no_live_content_is_swept_while_writers_are_killed",
        "contract/test_sweep.py::test_what_crashes_left_in_the_object_store_goes",
    ),
    "I14 leases, floors and waiters are bounded": (
        "tiers/test_flights.py::test_nothing_is_left_when_all_are_cancelled",
        "tiers/test_shown.py::test_what_lists_show_is_bounded",
        "contract/test_redis_channel.py::test_pings_without_a_relay_are_bounded",
        "contract/test_key_value.py::test_a_lease_runs_out",
    ),
    "I15 safe across fork": (
        "faults/test_processes.py::test_a_forked_child_goes_on_by_itself",
        "faults/test_fork_while_writing.py::test_every_child_can_write",
        "contract/test_records_postgres.py::test_a_forked_child_connects_anew_and_the_parent_goes_on",
    ),
}
FAULTS = {
    "Redis killed, restarted empty": (
        "faults/test_outages.py::test_redis_killed_and_back_empty",
        "tiers/test_servers.py::test_redis_stops_and_starts_empty",
        "faults/test_redis_faults.py::test_killed_and_started_empty",
    ),
    "Redis paused": (
        "faults/test_redis_faults.py::test_paused_calls_end_within_their_budgets_and_then_at_once",
        "faults/test_redis_faults.py::test_late_fills_are_refused_after_it_wakes",
    ),
    "Redis: FLUSHALL, values and floors evicted": (
        HISTORY,
        "faults/test_redis_faults.py::test_flushall_brings_misses_only",
        "model/test_fences.py::test_never_stale_when_it_starts_without_floors",
    ),
    "Redis: READONLY, OOM, LOADING, NOSCRIPT, MOVED": (
        "faults/test_redis_faults.py::test_a_server_that_becomes_a_replica_is_left_and_found_again",
        "faults/test_redis_faults.py::test_out_of_memory_reads_go_on_and_writes_still_invalidate",
        "faults/test_redis_faults.py::test_a_server_that_cannot_serve_now_is_a_connection_error",
        "faults/test_redis_faults.py::test_scripts_that_the_server_forgot_are_sent_again",
        "faults/test_redis_faults.py::test_slots_that_move_to_another_node_are_followed",
    ),
    "Redis link: one way, reset in a reply, slices, late": (
        "faults/test_redis_links.py::test_a_black_hole_ends_with_the_budget",
        "faults/test_redis_links.py::test_a_connection_that_breaks_in_a_reply",
        "faults/test_redis_links.py::test_one_byte_at_a_time_is_read_whole_or_given_up_in_time",
        "faults/test_redis_links.py::test_a_reply_that_came_too_late_reaches_nobody",
        "contract/test_redis_channel.py::test_a_silent_connection_is_given_up",
    ),
    "Redis fails over to a replica that lacks the last writes": (
        HISTORY,
        "faults/test_redis_faults.py::test_sentinel_fail_over_is_another_epoch",
        "faults/test_redis_faults.py::test_a_node_whose_replica_takes_its_place",
    ),
    "bus: dropped, doubled, reordered": (
        "contract/test_redis_channel.py::test_a_lost_message_is_a_gap",
        "contract/test_redis_channel.py::test_a_doubled_message_is_a_gap",
        "tiers/test_jobs.py::test_a_gap_flushes_l1_and_refuses_what_is_being_loaded",
    ),
    "PostgreSQL killed": (
        "faults/test_outages.py::test_postgres_restarted",
        "contract/test_records_faults.py::test_kill_9_of_the_server_loses_nothing_acknowledged",
    ),
    "PostgreSQL paused, lock wait, pool exhausted, session ended": (
        "contract/test_records_faults.py::test_a_paused_server_does_not_move_the_deadline",
        "contract/test_records.py::test_a_slow_write_ends_at_the_deadline_and_frees_its_place",
        "faults/test_outages.py::test_pool_exhausted",
        "contract/test_records_faults.py::test_sessions_that_were_ended_are_replaced",
    ),
    "PostgreSQL: acknowledgement lost after COMMIT": (
        "contract/test_records_faults.py::test_an_acknowledgement_lost_after_commit_is_unknown_and_was_applied_once",
    ),
    "replica behind, killed, promoted": (
        HISTORY,
        "contract/test_records_postgres.py::test_without_its_replica_the_primary_answers",
        "contract/test_channels_sql.py::test_a_promoted_replica_is_another_database",
        "tiers/test_jobs.py::test_a_write_that_meets_the_promoted_database_first_is_told_under_its_name",
        "contract/test_schemas_listed.py::test_a_replica_that_lags_does_not_contradict_what_was_read",
    ),
    "serialization failure, deadlock, disk full": (
        "contract/test_records_postgres.py::test_a_serialization_failure_is_one_too",
        "contract/test_records_postgres.py::test_a_deadlock_is_a_conflict_worth_another_try",
        "contract/test_records_sqlite.py::test_a_disk_that_takes_nothing_is_said_at_the_commit_and_tears_nothing",
    ),
    "S3 down, paused, failing, wrong bytes": (
        "faults/test_outages.py::test_objects_stopped",
        "contract/test_s3.py::test_a_body_cut_short_every_time_is_an_error_and_never_content",
        "contract/test_s3.py::test_an_error_after_storing_is_tried_again_and_stores_once",
        "contract/test_blob_tier.py::test_a_read_looks_in_the_other_place",
    ),
    "worker killed at any step": (
        "faults/test_processes.py::test_kill_9_while_writing_loses_nothing_acknowledged",
        "faults/test_sweep_kills.py::test_no_live_content_is_swept_while_writers_are_killed",
        "tiers/test_jobs.py::test_the_relay_delivers_what_a_dead_writer_left_and_then_echoes",
    ),
    "worker paused with a lease": (HISTORY, "contract/test_key_value.py::test_a_lease_runs_out"),
    "worker: fork, loop closed, task cancelled, KeyboardInterrupt": (
        "faults/test_fork_while_writing.py::test_every_child_can_write",
        "facade/test_owner_loop.py::test_a_store_belongs_to_the_loop_that_opened_it",
        "faults/test_outages.py::test_cancelled_callers_leave_nothing_behind",
        "faults/test_interrupts.py::test_an_interrupted_call_leaves_the_store_as_it_was",
        "core/test_cache_load.py::test_an_interrupted_leader_hands_over_to_a_thread",
    ),
    "clock an hour off": ("faults/test_clock.py::test_an_hour_to_and_fro",),
    "jobs: two at once, killed in a batch": (
        "contract/test_migrations.py::test_two_at_once_apply_each_once",
        "contract/test_sweep.py::test_live_content_is_never_swept_while_others_register_it",
        "faults/test_sweep_kills.py::test_no_live_content_is_swept_while_writers_are_killed",
    ),
}
PROMISES = INVARIANTS | FAULTS


def test_every_invariant_is_here():
    assert [name.split()[0] for name in INVARIANTS] == [f"I{number}" for number in range(1, 16)]


@pytest.fixture(scope="module")
def collected(request):
    """The names of the tests in the files that are mentioned, without their parameters."""
    root = request.config.rootpath
    files = sorted({f"tests/{name.partition('::')[0]}" for names in PROMISES.values() for name in names})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.partition("[")[0].removeprefix("tests/") for line in done.stdout.splitlines() if "::" in line}


@pytest.mark.parametrize("promise", PROMISES)
def test_the_tests_that_hold_a_promise_are_collected(promise, collected):
    assert PROMISES[promise]
    assert [name for name in PROMISES[promise] if name not in collected] == []
