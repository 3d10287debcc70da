//! The mask that a client lays over its payloads (RFC 6455 section 5.3).

/// Masks or unmasks, eight bytes at a time.
pub(super) fn apply(bytes: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_length_is_masked_byte_by_byte() {
        let key = [0x1d, 0x00, 0xff, 0x83];
        for len in 0..40 {
            let plain: Vec<u8> = (0..len).map(|n: u8| n.wrapping_mul(7)).collect();
            let mut masked = plain.clone();
            super::apply(&mut masked, key);
            for (index, (byte, original)) in masked.iter().zip(&plain).enumerate() {
                assert_eq!(*byte, original ^ key[index % 4], "{index} of {len}");
            }
            super::apply(&mut masked, key);
            assert_eq!(masked, plain);
        }
    }
}
