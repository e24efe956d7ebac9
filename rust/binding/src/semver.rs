use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use tierstore_core::error::{Error, Place};
use tierstore_core::semver;

use crate::errors::to_py;

/// A version as semver.org 2.0.0 defines it. Order, equality and hash leave build metadata out.
///
/// ValidationError for text that is not semver, is longer than 255 characters, or has a part above 2³¹−1.
#[pyclass(frozen, eq, ord, hash, module = "tierstore._native")]
#[derive(Clone, Eq, Hash, PartialEq, PartialOrd)]
struct Version(semver::Version);

#[pymethods]
impl Version {
    #[new]
    #[pyo3(signature = (text, /))]
    fn new(text: &Bound<'_, PyString>) -> PyResult<Self> {
        let text = text.to_str().map_err(|_| {
            to_py(
                &Error::invalid("version must be ASCII and semver (MAJOR.MINOR.PATCH[-pre][+build])")
                    .at(Place::Name("version".into())),
            )
        })?;
        semver::Version::parse(text).map(Self).map_err(|error| to_py(&error))
    }

    #[getter]
    fn major(&self) -> u32 {
        self.0.major
    }

    #[getter]
    fn minor(&self) -> u32 {
        self.0.minor
    }

    #[getter]
    fn patch(&self) -> u32 {
        self.0.patch
    }

    /// What stands behind `-`; empty for a release.
    #[getter]
    fn prerelease(&self) -> &str {
        self.0.prerelease()
    }

    /// What stands behind `+`; empty without.
    #[getter]
    fn build(&self) -> &str {
        self.0.build()
    }

    /// Bytes whose order is that of the pre-releases of one major.minor.patch; `ff` for a release.
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.prerelease_key())
    }

    fn __str__(&self) -> &str {
        self.0.as_str()
    }

    fn __repr__(&self) -> String {
        format!("Version('{}')", self.0.as_str())
    }

    fn __getnewargs__(&self) -> (&str,) {
        (self.0.as_str(),)
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Version>()
}
