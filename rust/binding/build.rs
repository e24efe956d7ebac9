//! The interpreter that is built for: its facts as `cfg`s (`Py_GIL_DISABLED` above all), and whether it is one whose structures are known.

use pyo3_build_config::PythonImplementation;

/// Of CPython 3. What is relied on in each is in docs/design/fast-path.md.
const KNOWN: std::ops::RangeInclusive<u8> = 11..=14;

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    let python = pyo3_build_config::get();
    let (implementation, version) = (python.implementation(), python.version());
    if implementation != PythonImplementation::CPython || version.major != 3 || !KNOWN.contains(&version.minor) {
        println!(
            "cargo::error=tierstore reads structures of the interpreter, which it knows of CPython 3.{} to 3.{}; this is {implementation} {version}",
            KNOWN.start(),
            KNOWN.end()
        );
    }
    stop_threads_that_are_ended();
}

/// Have the linker send to `exit.rs` what is said there, where it is compiled.
fn stop_threads_that_are_ended() {
    let of_target = |fact: &str| std::env::var(format!("CARGO_CFG_TARGET_{fact}")).unwrap_or_default();
    if of_target("OS") == "linux" && of_target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-cdylib=-Wl,--wrap=_Unwind_GetLanguageSpecificData");
    }
}
