//! Reading ttl, tti, weight and tags: what is wrong is named before anything is touched.

use crate::errors::to_py;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::sync::Arc;
use tierstore_core::cache::{Life, milliseconds};
use tierstore_core::error::{Error, Place};

fn invalid(name: &str, expected: &str, got: &Bound<'_, PyAny>) -> PyErr {
    let shown = got.repr().map_or_else(|_| "?".to_owned(), |text| text.to_string());
    let message = format!("{name} must be {expected}, got {shown}");
    to_py(&Error::invalid(message).at(Place::Name(name.to_owned())))
}

/// Seconds to milliseconds, rounded up. None: for ever, and so is infinity.
pub fn duration(name: &str, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u64>> {
    let Some(value) = value else { return Ok(None) };
    if value.is_none() {
        return Ok(None);
    }
    let seconds = match value.extract::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let delta = value.call_method0("total_seconds").and_then(|total| total.extract::<f64>());
            delta.map_err(|_| PyTypeError::new_err(format!("{name} must be a number of seconds or a timedelta")))?
        }
    };
    if seconds.is_nan() || seconds <= 0.0 {
        return Err(invalid(name, "more than 0 seconds", value));
    }
    Ok(milliseconds(seconds))
}

/// A whole number from `least` on. None where the argument is None.
pub fn count(name: &str, least: u64, value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u64>> {
    let Some(value) = value else { return Ok(None) };
    if value.is_none() {
        return Ok(None);
    }
    let index = value.call_method0("__index__");
    let index = index.map_err(|_| PyTypeError::new_err(format!("{name} must be an int")))?;
    match index.extract::<i128>() {
        Ok(number) if number >= i128::from(least) => Ok(Some(u64::try_from(number).unwrap_or(u64::MAX))),
        Ok(_) => Err(invalid(name, &format!("at least {least}"), value)),
        Err(_) => Err(invalid(name, "within 128 bits", value)),
    }
}

/// Strings, each with the hash under which the fence knows it. One string alone is one tag too many to guess at.
pub fn tags(value: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Arc<str>>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    if value.is_none() {
        return Ok(Vec::new());
    }
    if value.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err("tags must be an iterable of str, not one str"));
    }
    value.try_iter()?.map(|tag| tag_text(&tag?)).collect()
}

pub fn tag_text(tag: &Bound<'_, PyAny>) -> PyResult<Arc<str>> {
    let text = tag.cast::<PyString>().map_err(|_| PyTypeError::new_err("a tag must be a str"))?;
    Ok(Arc::from(text.to_str()?))
}

/// The owned form of `Life`.
pub struct OwnLife {
    pub ttl: Option<u64>,
    pub idle: Option<u64>,
    pub weight: u64,
    pub tags: Vec<Arc<str>>,
}

impl OwnLife {
    pub fn borrow(&self) -> Life<'_> {
        Life { ttl: self.ttl, idle: self.idle, weight: self.weight, tags: &self.tags }
    }
}
