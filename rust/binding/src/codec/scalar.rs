//! Dates, durations, identifiers and decimals of Python's standard library.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyDate, PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyString, PyTimeAccess, PyType, PyTzInfo, PyTzInfoAccess,
};
use tierstore_core::codec::instant::{FIRST_DAY, LAST_DAY, MICROS_PER_DAY, civil_from_days, days_from_civil};
use tierstore_core::error::Error;

use crate::errors::to_py;

/// timedelta.max in days.
const MAX_DELTA_DAYS: i128 = 999_999_999;

fn corrupt(message: impl Into<String>) -> PyErr {
    to_py(&Error::corrupt(message))
}

fn invalid(message: impl Into<String>) -> PyErr {
    to_py(&Error::invalid(message))
}

/// The head of an int: its digits of 30 bits stand behind it.
#[cfg(not(Py_3_12))]
#[repr(C)]
struct IntHead {
    ob_base: ffi::PyObject,
    /// How many digits; below zero for a number below zero.
    size: isize,
    digits: [u32; 2],
}

/// The head of an int: its digits of 30 bits stand behind it.
#[cfg(Py_3_12)]
#[repr(C)]
struct IntHead {
    ob_base: ffi::PyObject,
    /// How many digits from bit 3 on; below them 0, 1, 2 for a number above zero, zero, below zero.
    tag: usize,
    digits: [u32; 2],
}

/// An interpreter may be built with digits of 15 bits in two bytes: there all ints are asked of it.
static HAS_LONG_DIGITS: AtomicBool = AtomicBool::new(false);

/// The value of an int of at most two digits, as nearly all are, read where it lies. `value` MUST be an int.
#[inline(always)]
pub fn small_int(value: &Bound<'_, PyAny>) -> Option<i64> {
    if !HAS_LONG_DIGITS.load(Ordering::Relaxed) {
        return None;
    }
    // SAFETY: value is an int, whose memory starts so: cpython's Include/cpython/longintrepr.h. Only digits that it has are read.
    unsafe {
        let head = value.as_ptr().cast::<IntHead>();
        #[cfg(not(Py_3_12))]
        let (count, sign) = ((*head).size.unsigned_abs(), (*head).size.signum() as i64);
        #[cfg(Py_3_12)]
        let (count, sign) = ((*head).tag >> 3, 1 - ((*head).tag & 3) as i64);
        let digit = |at: usize| i64::from(*(&raw const (*head).digits).cast::<u32>().add(at));
        match count {
            0 => Some(0),
            1 => Some(sign * digit(0)),
            2 => Some(sign * (digit(1) << 30 | digit(0))),
            _ => None,
        }
    }
}

/// The value of an int, if it has at most 64 bits with its sign. `value` MUST be an int.
#[inline(always)]
pub fn int64(value: &Bound<'_, PyAny>) -> Option<i64> {
    small_int(value).map_or_else(|| any_int(value), Some)
}

fn any_int(value: &Bound<'_, PyAny>) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: value is an int, so that only the range can go wrong, and overflow says so.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &raw mut overflow) };
    (overflow == 0).then_some(number)
}

/// Whether so many microseconds since 1970 lie within the years of a datetime.
pub fn is_datetime(micros: i64) -> bool {
    civil_from_days(micros.div_euclid(MICROS_PER_DAY)).is_some()
}

/// An aware datetime in UTC from microseconds since 1970.
pub fn datetime(py: Python<'_>, micros: i64) -> PyResult<Bound<'_, PyAny>> {
    let (days, rest) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
    let Some((year, month, day)) = civil_from_days(days) else {
        return Err(corrupt("a datetime is outside years 1 to 9999"));
    };
    let (seconds, micros) = (rest / 1_000_000, (rest % 1_000_000) as u32);
    let (hour, minute, second) = ((seconds / 3600) as u8, (seconds / 60 % 60) as u8, (seconds % 60) as u8);
    let utc = PyTzInfo::utc(py)?;
    Ok(PyDateTime::new(py, year, month, day, hour, minute, second, micros, Some(&*utc))?.into_any())
}

/// Microseconds since 1970 of an aware datetime.
pub fn datetime_micros(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = value.py();
    let stamp = value.cast::<PyDateTime>().map_err(|_| expected("an aware datetime", value))?;
    let Some(zone) = stamp.get_tzinfo() else { return Err(invalid("a datetime must be aware: give it a tzinfo")) };
    let days = days_from_civil((stamp.get_year(), stamp.get_month(), stamp.get_day()));
    let seconds =
        i64::from(stamp.get_hour()) * 3600 + i64::from(stamp.get_minute()) * 60 + i64::from(stamp.get_second());
    let local = days * MICROS_PER_DAY + seconds * 1_000_000 + i64::from(stamp.get_microsecond());
    if zone.is(&*PyTzInfo::utc(py)?) {
        return Ok(local);
    }
    let offset = stamp.call_method0(intern!(py, "utcoffset"))?;
    let offset = offset.cast::<PyDelta>().map_err(|_| invalid("a datetime must be aware: its tzinfo has no offset"))?;
    let micros = local - i64::try_from(delta_micros(offset)).unwrap_or_default();
    if !(FIRST_DAY..=LAST_DAY).contains(&micros.div_euclid(MICROS_PER_DAY)) {
        return Err(invalid("a datetime is outside years 1 to 9999 in UTC"));
    }
    Ok(micros)
}

pub fn date(py: Python<'_>, days: i64) -> PyResult<Bound<'_, PyAny>> {
    match civil_from_days(days) {
        Some((year, month, day)) => Ok(PyDate::new(py, year, month, day)?.into_any()),
        None => Err(corrupt("a date is outside years 1 to 9999")),
    }
}

pub fn date_days(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let date = value.cast::<PyDate>().map_err(|_| expected("a date", value))?;
    if value.is_instance_of::<PyDateTime>() {
        return Err(expected("a date", value));
    }
    Ok(days_from_civil((date.get_year(), date.get_month(), date.get_day())))
}

pub fn timedelta(py: Python<'_>, micros: i128) -> PyResult<Bound<'_, PyAny>> {
    let day = i128::from(MICROS_PER_DAY);
    let (days, rest) = (micros.div_euclid(day), micros.rem_euclid(day));
    if days.abs() > MAX_DELTA_DAYS {
        return Err(corrupt("a duration is outside the range of a timedelta"));
    }
    Ok(PyDelta::new(py, days as i32, (rest / 1_000_000) as i32, (rest % 1_000_000) as i32, false)?.into_any())
}

pub fn timedelta_micros(value: &Bound<'_, PyAny>) -> PyResult<i128> {
    Ok(delta_micros(value.cast::<PyDelta>().map_err(|_| expected("a timedelta", value))?))
}

fn delta_micros(delta: &Bound<'_, PyDelta>) -> i128 {
    let seconds = i128::from(delta.get_days()) * 86_400 + i128::from(delta.get_seconds());
    seconds * 1_000_000 + i128::from(delta.get_microseconds())
}

struct Uuids {
    class: Py<PyType>,
    is_safe: Py<PyAny>,
}

fn uuids(py: Python<'_>) -> PyResult<&'static Uuids> {
    static CELL: PyOnceLock<Uuids> = PyOnceLock::new();
    CELL.get_or_try_init(py, || {
        let module = py.import("uuid")?;
        let class = module.getattr("UUID")?.cast_into::<PyType>()?.unbind();
        Ok(Uuids { class, is_safe: module.getattr("SafeUUID")?.getattr("unknown")?.unbind() })
    })
}

/// A UUID without its constructor, which parses for a microsecond: the two slots are set as `uuid.UUID.__init__` sets them.
pub fn uuid(py: Python<'_>, bytes: [u8; 16]) -> PyResult<Bound<'_, PyAny>> {
    let known = uuids(py)?;
    let number = u128::from_be_bytes(bytes).into_pyobject(py)?;
    // SAFETY: uuid.UUID is a plain Python class: its memory comes from its own allocator, its slots are set by its own members.
    unsafe {
        let object = Bound::from_owned_ptr_or_err(py, ffi::PyType_GenericAlloc(known.class.as_ptr().cast(), 0))?;
        let fail = |set: i32| if set < 0 { Err(PyErr::fetch(py)) } else { Ok(()) };
        fail(ffi::PyObject_GenericSetAttr(object.as_ptr(), intern!(py, "int").as_ptr(), number.as_ptr()))?;
        fail(ffi::PyObject_GenericSetAttr(object.as_ptr(), intern!(py, "is_safe").as_ptr(), known.is_safe.as_ptr()))?;
        Ok(object)
    }
}

pub fn uuid_bytes(value: &Bound<'_, PyAny>) -> PyResult<[u8; 16]> {
    let py = value.py();
    if !value.is_instance(uuids(py)?.class.bind(py))? {
        return Err(expected("a UUID", value));
    }
    Ok(value.getattr(intern!(py, "int"))?.extract::<u128>()?.to_be_bytes())
}

fn decimals(py: Python<'_>) -> PyResult<&'static Py<PyType>> {
    static CELL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CELL.get_or_try_init(py, || Ok(py.import("decimal")?.getattr("Decimal")?.cast_into::<PyType>()?.unbind()))
}

/// Whether a text is a number as Decimal writes it: of any other, what Decimal answers hangs on its context.
fn is_decimal(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let all_digits = |text: &[u8]| digits(text) == text.len();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    if let Some(payload) = text.strip_prefix(b"NaN").or_else(|| text.strip_prefix(b"sNaN")) {
        return all_digits(payload);
    }
    let (whole, rest) = text.split_at(digits(text));
    let (places, rest) = match rest.strip_prefix(b".") {
        Some(rest) => (digits(rest), &rest[digits(rest)..]),
        None => (1, rest),
    };
    let exponent = rest.strip_prefix(b"E+").or_else(|| rest.strip_prefix(b"E-"));
    let ends = rest.is_empty() || exponent.is_some_and(|exponent| !exponent.is_empty() && all_digits(exponent));
    text == b"Infinity" || (!whole.is_empty() && places > 0 && ends)
}

pub fn decimal<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if !is_decimal(text) {
        return Err(corrupt("a text is not a decimal number"));
    }
    let text = super::read::str(py, text)?;
    decimals(py)?.bind(py).call1((&text,)).map_err(|_| corrupt("a text is not a decimal number"))
}

/// As Decimal itself writes it, whatever a subclass does: digits, exponent and sign are kept.
pub fn decimal_text<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyString>> {
    let py = value.py();
    let class = decimals(py)?.bind(py);
    let text = if value.get_type().is(class) {
        value.str()?
    } else if value.is_instance(class)? {
        class.call_method1(intern!(py, "__str__"), (value,))?.cast_into::<PyString>()?
    } else {
        return Err(expected("a Decimal", value));
    };
    match text.to_str()?.contains('e') {
        true => Ok(PyString::new(py, &text.to_str()?.replace('e', "E"))), // as a context with `capitals=0` has it
        false => Ok(text),
    }
}

/// `what` was expected where `value` stands.
#[cold]
pub fn expected(what: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let name = value.get_type().name().map_or_else(|_| "something else".into(), |name| name.to_string());
    invalid(format!("expected {what}, not {name}"))
}

/// A TypeError about an argument of a call.
#[cold]
pub fn wrong_type(message: impl Into<String>) -> PyErr {
    PyTypeError::new_err(message.into())
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let ints = module.py().import("sys")?.getattr("int_info")?;
    PyTzInfo::utc(module.py())?; // loads what stands behind datetimes, which is not to be had when the interpreter ends
    HAS_LONG_DIGITS.store(ints.getattr("bits_per_digit")?.extract::<u32>()? == 30, Ordering::Relaxed);
    Ok(())
}
