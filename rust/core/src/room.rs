//! Memory whose size a value or a claim decides. A `Vec` that grows by itself ends the process where none is left.

use crate::error::{Error, Result};

/// An empty list with room for `count` items, or the error that there is no memory for it.
pub fn room<T>(count: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| Error::memory())?;
    Ok(list)
}

/// `item` behind the others.
#[inline]
pub fn push<T>(list: &mut Vec<T>, item: T) -> Result<()> {
    if list.len() == list.capacity() {
        list.try_reserve(1).map_err(|_| Error::memory())?;
    }
    list.push(item);
    Ok(())
}

/// A copy of `bytes`.
pub fn copy(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copied = room(bytes.len())?;
    copied.extend_from_slice(bytes);
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn what_no_memory_holds_is_an_error() {
        assert_eq!(room::<u64>(usize::MAX / 8).unwrap_err().kind, Kind::Memory);
        assert_eq!(room::<u64>(usize::MAX).unwrap_err().kind, Kind::Memory);
        let mut list = room(1).unwrap();
        push(&mut list, 7).unwrap();
        push(&mut list, 8).unwrap();
        assert_eq!((list, copy(b"ab").unwrap()), (vec![7, 8], b"ab".to_vec()));
    }
}
