//! The guest image that the lab's API serves for download: a real, empty qcow2.
//!
//! Guests in namespaces start from a root filesystem and scripted ones from nothing, so only the file's form counts:
//! Proxmox reads its header, and so does the lab's API.

const CLUSTER: u64 = 1 << 16;

/// Virtual size of Debian's generic cloud image.
const SIZE: u64 = 3 << 30;

/// An image of 3 GiB in which nothing is allocated, by the format's specification (version 2): header, refcount table,
/// one refcount block, L1 table, one cluster each.
pub(super) fn empty() -> Vec<u8> {
    // One L1 entry covers the clusters that one L2 table of 8192 entries maps.
    let l1_entries = u32::try_from(SIZE.div_ceil(CLUSTER * (CLUSTER / 8))).expect("a few");
    let (refcount_table, refcount_block, l1_table) = (CLUSTER, 2 * CLUSTER, 3 * CLUSTER);
    let mut image = Vec::new();
    image.extend(b"QFI\xfb");
    image.extend(2_u32.to_be_bytes());
    // No backing file.
    image.extend([0; 12]);
    image.extend(16_u32.to_be_bytes());
    image.extend(SIZE.to_be_bytes());
    // Not encrypted.
    image.extend(0_u32.to_be_bytes());
    image.extend(l1_entries.to_be_bytes());
    image.extend(l1_table.to_be_bytes());
    image.extend(refcount_table.to_be_bytes());
    image.extend(1_u32.to_be_bytes());
    // No snapshots.
    image.extend([0; 12]);
    image.resize(refcount_table.try_into().expect("small"), 0);
    image.extend(refcount_block.to_be_bytes());
    image.resize(refcount_block.try_into().expect("small"), 0);
    for _ in 0..4 {
        image.extend(1_u16.to_be_bytes());
    }
    image.resize((4 * CLUSTER).try_into().expect("small"), 0);
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_fields_of_the_format_at_their_places() {
        let image = empty();
        assert_eq!(image.len(), 4 << 16);
        assert_eq!(image[..8], *b"QFI\xfb\0\0\0\x02");
        assert_eq!(image[20..24], 16_u32.to_be_bytes(), "cluster_bits");
        assert_eq!(image[24..32], (3_u64 << 30).to_be_bytes(), "size");
        assert_eq!(image[36..40], 6_u32.to_be_bytes(), "l1_size");
        assert_eq!(
            image[40..48],
            (3_u64 << 16).to_be_bytes(),
            "l1_table_offset"
        );
        assert_eq!(
            image[48..56],
            (1_u64 << 16).to_be_bytes(),
            "refcount_table_offset"
        );
        assert_eq!(
            image[56..60],
            1_u32.to_be_bytes(),
            "refcount_table_clusters"
        );
    }
}
