//! Nothing secret is left in freed memory: an allocator that looks into every block it gets back.

use _native::backend::{PreparedScalar, available};
use curve25519_dalek::Scalar;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

struct Inspector;

static WATCH: AtomicBool = AtomicBool::new(false);
static FOUND: AtomicUsize = AtomicUsize::new(0);
static FREED: AtomicUsize = AtomicUsize::new(0);
/// Eight bytes each; enough not to be met by accident.
static SECRETS: OnceLock<Vec<u64>> = OnceLock::new();
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Inspector {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that leftovers of others are not taken for ours.
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if WATCH.load(Ordering::SeqCst) {
            // SAFETY: a live block of this size, initialised above.
            let bytes = unsafe { std::slice::from_raw_parts(ptr, layout.size()) };
            FREED.fetch_add(1, Ordering::SeqCst);
            let secrets = SECRETS.get().expect("set before watching");
            let hit = bytes.windows(8).step_by(1).any(|window| {
                let value = u64::from_ne_bytes(window.try_into().expect("eight bytes"));
                value != 0 && secrets.binary_search(&value).is_ok()
            });
            if hit {
                FOUND.fetch_add(1, Ordering::SeqCst);
            }
        }
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Inspector = Inspector;

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes
        .chunks_exact(8)
        .map(|b| u64::from_le_bytes(b.try_into().expect("eight bytes")))
}

/// s + sum(8 * 16^i) or s + sum(16 * 32^i), as the kernel recodes scalars.
fn recoded(s: &Scalar, offset: [u64; 4]) -> Vec<u64> {
    let mut carry = 0u128;
    let add = |(a, b): (u64, u64)| {
        carry += u128::from(a) + u128::from(b);
        let word = carry as u64;
        carry >>= 64;
        word
    };
    words(s.as_bytes()).zip(offset).map(add).collect()
}

#[test]
fn freed_memory_holds_no_secret() {
    let _guard = ONE_AT_A_TIME.lock();
    let offset16 = [0x8888_8888_8888_8888; 4];
    let offset32 = [
        0x0842_1084_2108_4210,
        0x1084_2108_4210_8421,
        0x2108_4210_8421_0842,
        0x4210_8421_0842_1084,
    ];
    let wide = |i: u8| -> [u8; 64] {
        std::array::from_fn(|j| (i as usize * 37 + j * j * 11 + j) as u8 ^ 0x5c)
    };
    let n = 40;
    let uniform: Vec<[u8; 64]> = (0..n).map(wide).collect();
    let scalars: Vec<Scalar> = (0..n)
        .map(|i| Scalar::from_bytes_mod_order_wide(&wide(i + 100)))
        .collect();
    let key = Scalar::from_bytes_mod_order_wide(&wide(250));
    let mut secrets: Vec<u64> = uniform
        .iter()
        .flat_map(|u| words(u).collect::<Vec<_>>())
        .collect();
    for s in scalars.iter().chain([&key]) {
        let (half, minus) = (s.div_by_2(), -s);
        for s in [*s, half, minus] {
            secrets.extend(words(s.as_bytes()).filter(|word| *word > u64::from(u32::MAX)));
            secrets.extend(recoded(&s, offset16));
            secrets.extend(recoded(&s, offset32));
        }
    }
    secrets.sort_unstable();
    SECRETS.set(secrets).expect("once");

    for backend in available() {
        let mut elements = vec![[0; 32]; n as usize];
        let mut out = elements.clone();
        backend.hash_mul_encode(&uniform, &PreparedScalar::new(&key), &mut elements);
        let messages: Vec<u8> = uniform.concat();
        let mut hashes = vec![[0; 64]; n as usize];

        WATCH.store(true, Ordering::SeqCst);
        {
            let boxed = Box::new(PreparedScalar::new(&key));
            backend.hash_mul_encode(&uniform, &boxed, &mut out);
            backend.hash_mul_each_encode(&uniform, &scalars, &mut out);
            backend.hash_add_base_encode(&uniform, &scalars, &mut out);
            backend
                .decode_mul_encode(&elements, &boxed, &mut out)
                .expect("valid");
            backend
                .decode_mul_each_encode(&elements, &scalars, &mut out)
                .expect("valid");
            let table = backend.generator();
            let points = backend.decode(&elements).expect("valid");
            backend.points_mul_encode(&points, 0, &boxed, &mut out);
            backend.points_sub_base_encode(&points, 0, &scalars, table, &mut out);
            backend.mul_base_encode(&scalars, table, &mut out);
            backend.sha512(b"prefix", &messages, 64, b"suffix", &mut hashes);
        }
        WATCH.store(false, Ordering::SeqCst);
        println!(
            "{}: {} blocks looked at",
            backend.name(),
            FREED.swap(0, Ordering::SeqCst)
        );
        assert_eq!(FOUND.swap(0, Ordering::SeqCst), 0, "{}", backend.name());
    }

    // The inspector does find what is left behind.
    WATCH.store(true, Ordering::SeqCst);
    drop(std::hint::black_box(scalars.clone()));
    WATCH.store(false, Ordering::SeqCst);
    assert_eq!(FOUND.swap(0, Ordering::SeqCst), 1);
}
