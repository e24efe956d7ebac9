//! The interpreter that is built for, as `cfg`s: `Py_GIL_DISABLED` above all.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
