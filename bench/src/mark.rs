//! A publish and what arrives of it are recognised by one 64-bit hash over type, channel and the bytes of `data`.

/// FNV-1a: stable over runs and machines, so that a saved history can be judged later.
pub fn mark(kind: &str, channel: &str, data: &str) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    // 0xff never occurs in UTF-8, so no two triples run together.
    let parts = [kind.as_bytes(), &[0xff], channel.as_bytes(), &[0xff], data.as_bytes()];
    parts.iter().copied().flatten().fold(OFFSET, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::mark;

    #[test]
    fn it_is_fnv_1a() {
        // fnv1a64("a") is af63dc4c8601ec8c; our separators continue from there.
        let after_separators = [0xffu8, 0xff]
            .iter()
            .fold(0xaf63_dc4c_8601_ec8c_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        assert_eq!(mark("a", "", ""), after_separators);
    }

    #[test]
    fn every_part_counts_and_none_runs_into_the_next() {
        let all =
            [mark("a", "bc", "d"), mark("ab", "c", "d"), mark("a", "b", "cd"), mark("a", "bc", "e"), mark("a", "bc", "d ")];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
