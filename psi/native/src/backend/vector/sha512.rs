//! SHA-512 (FIPS 180-4) of several messages of the same length at once, one per lane.

use super::super::Text;
use super::engine::Engine;
use super::wipe::{Wiped, wipe};
use super::word::{LaneValues, Word};

/// Round constants, FIPS 180-4, 4.2.3.
const K: [u64; 80] = [
    0x428a2f98d728ae22,
    0x7137449123ef65cd,
    0xb5c0fbcfec4d3b2f,
    0xe9b5dba58189dbbc,
    0x3956c25bf348b538,
    0x59f111f1b605d019,
    0x923f82a4af194f9b,
    0xab1c5ed5da6d8118,
    0xd807aa98a3030242,
    0x12835b0145706fbe,
    0x243185be4ee4b28c,
    0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f,
    0x80deb1fe3b1696b1,
    0x9bdc06a725c71235,
    0xc19bf174cf692694,
    0xe49b69c19ef14ad2,
    0xefbe4786384f25e3,
    0x0fc19dc68b8cd5b5,
    0x240ca1cc77ac9c65,
    0x2de92c6f592b0275,
    0x4a7484aa6ea6e483,
    0x5cb0a9dcbd41fbd4,
    0x76f988da831153b5,
    0x983e5152ee66dfab,
    0xa831c66d2db43210,
    0xb00327c898fb213f,
    0xbf597fc7beef0ee4,
    0xc6e00bf33da88fc2,
    0xd5a79147930aa725,
    0x06ca6351e003826f,
    0x142929670a0e6e70,
    0x27b70a8546d22ffc,
    0x2e1b21385c26c926,
    0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df,
    0x650a73548baf63de,
    0x766a0abb3c77b2a8,
    0x81c2c92e47edaee6,
    0x92722c851482353b,
    0xa2bfe8a14cf10364,
    0xa81a664bbc423001,
    0xc24b8b70d0f89791,
    0xc76c51a30654be30,
    0xd192e819d6ef5218,
    0xd69906245565a910,
    0xf40e35855771202a,
    0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8,
    0x1e376c085141ab53,
    0x2748774cdf8eeb99,
    0x34b0bcb5e19b48a8,
    0x391c0cb3c5c95a63,
    0x4ed8aa4ae3418acb,
    0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3,
    0x748f82ee5defb2fc,
    0x78a5636f43172f60,
    0x84c87814a1f0ab72,
    0x8cc702081a6439ec,
    0x90befffa23631e28,
    0xa4506cebde82bde9,
    0xbef9a3f7b2c67915,
    0xc67178f2e372532b,
    0xca273eceea26619c,
    0xd186b8c721c0c207,
    0xeada7dd6cde0eb1e,
    0xf57d4f7fee6ed178,
    0x06f067aa72176fba,
    0x0a637dc5a2c898a6,
    0x113f9804bef90dae,
    0x1b710b35131c471b,
    0x28db77f523047d84,
    0x32caab7b40c72493,
    0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c,
    0x4cc5d4becb3e42b6,
    0x597f299cfc657e2a,
    0x5fcb6fab3ad6faec,
    0x6c44198c4a475817,
];

/// Initial state, FIPS 180-4, 5.3.5.
pub const INITIAL: [u64; 8] = [
    0x6a09e667f3bcc908,
    0xbb67ae8584caa73b,
    0x3c6ef372fe94f82b,
    0xa54ff53a5f1d36f1,
    0x510e527fade682d1,
    0x9b05688c2b3e6c1f,
    0x1f83d9abfb41bd6b,
    0x5be0cd19137e2179,
];

pub const BLOCK_BYTES: usize = 128;

/// FIPS 180-4, 6.4.2. The message schedule is a ring of sixteen words.
#[inline(always)]
pub fn block<W: Word>(state: &mut [LaneValues; 8], message: &[LaneValues; 16]) {
    let mut w = [W::splat(0); 16];
    for (w, m) in w.iter_mut().zip(message) {
        *w = W::load(m);
    }
    let mut s = [W::splat(0); 8];
    for (s, value) in s.iter_mut().zip(state.iter()) {
        *s = W::load(value);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = s;
    for round in 0..5 {
        for t in 0..16 {
            let k = W::splat(K[16 * round + t]);
            let big1 = W::xor3(
                e.rotate_right::<14>(),
                e.rotate_right::<18>(),
                e.rotate_right::<41>(),
            );
            let t1 = h.add(k).add(w[t]).add(W::choose(e, f, g)).add(big1);
            let big0 = W::xor3(
                a.rotate_right::<28>(),
                a.rotate_right::<34>(),
                a.rotate_right::<39>(),
            );
            let t2 = big0.add(W::majority(a, b, c));
            h = g;
            g = f;
            f = e;
            e = d.add(t1);
            d = c;
            c = b;
            b = a;
            a = t1.add(t2);
            if round < 4 {
                let (x, y) = (w[(t + 1) % 16], w[(t + 14) % 16]);
                let small0 = W::xor3(x.rotate_right::<1>(), x.rotate_right::<8>(), x.shr::<7>());
                let small1 = W::xor3(y.rotate_right::<19>(), y.rotate_right::<61>(), y.shr::<6>());
                w[t] = w[t].add(small0).add(w[(t + 9) % 16]).add(small1);
            }
        }
    }
    let out = [a, b, c, d, e, f, g, h];
    for ((value, s), out) in state.iter_mut().zip(s).zip(out) {
        *value = s.add(out).store();
    }
}

type State = [LaneValues; 8];

/// The state after the bytes of whole blocks, the same in all lanes.
fn absorb<E: Engine>(mut state: State, shared: &[u8]) -> State {
    for bytes in shared.chunks_exact(BLOCK_BYTES) {
        let mut lanes = [LaneValues([0; 8]); 16];
        for (lane, word) in lanes.iter_mut().zip(bytes.chunks_exact(8)) {
            *lane = LaneValues([big_endian(word); 8]);
        }
        // SAFETY: an engine exists only where the processor has its features.
        unsafe { E::sha512_block(&mut state, &lanes) };
    }
    state
}

/// The last blocks of messages of one length: `head`, the message, `suffix` and the padding.
/// Filled in for one group of lanes after the other, and wiped.
struct Ending {
    bytes: Wiped<u8>,
    head: usize,
    width: usize,
    words: Wiped<LaneValues>,
}

impl Ending {
    /// `before`: how many bytes were absorbed already, whole blocks.
    fn new(before: usize, head: &[u8], width: usize, suffix: &[u8]) -> Self {
        let length = head.len() + width + suffix.len();
        let blocks = (length + 1 + 16).div_ceil(BLOCK_BYTES);
        let mut bytes = Wiped::new(0u8, blocks * BLOCK_BYTES);
        bytes[..head.len()].copy_from_slice(head);
        bytes[head.len() + width..length].copy_from_slice(suffix);
        bytes[length] = 0x80;
        let bits = 8 * (before + length) as u128;
        let end = bytes.len();
        bytes[end - 16..].copy_from_slice(&bits.to_be_bytes());
        Ending {
            bytes,
            head: head.len(),
            width,
            words: Wiped::new(LaneValues([0; 8]), 16 * blocks),
        }
    }

    /// Lanes beyond the end repeat the last message; their results are not read.
    fn absorb<E: Engine>(&mut self, state: &mut State, messages: &[u8], count: usize) {
        for lane in 0..E::LANES {
            let message = &messages[lane.min(count - 1) * self.width..][..self.width];
            self.bytes[self.head..self.head + self.width].copy_from_slice(message);
            for (word, bytes) in self.words.iter_mut().zip(self.bytes.chunks_exact(8)) {
                word.0[lane] = big_endian(bytes);
            }
        }
        for block in self.words.chunks_exact(16) {
            let block = block.try_into().expect("sixteen words");
            // SAFETY: an engine exists only where the processor has its features.
            unsafe { E::sha512_block(state, block) };
        }
    }
}

/// Writes each lane's digest and forgets the state.
fn store(state: &mut State, out: &mut [[u8; 64]]) {
    for (lane, out) in out.iter_mut().enumerate() {
        for (bytes, word) in out.chunks_exact_mut(8).zip(state.iter()) {
            bytes.copy_from_slice(&word.0[lane].to_be_bytes());
        }
    }
    wipe(state);
}

/// out[i] = SHA-512(prefix || messages[i] || suffix), messages of `width` bytes one after another.
pub fn hash_many<E: Engine>(
    prefix: &[u8],
    messages: &[u8],
    width: usize,
    suffix: &[u8],
    out: &mut [[u8; 64]],
) {
    // Whole blocks of the prefix are the same for all: hashed once, in one lane's worth of work.
    let (shared, head) = prefix.split_at(prefix.len() / BLOCK_BYTES * BLOCK_BYTES);
    let midstate = absorb::<E>(INITIAL.map(|word| LaneValues([word; 8])), shared);
    let mut ending = Ending::new(shared.len(), head, width, suffix);
    for (group, out) in out.chunks_mut(E::LANES).enumerate() {
        let mut state = midstate;
        let messages = &messages[group * E::LANES * width..];
        ending.absorb::<E>(&mut state, messages, out.len());
        store(&mut state, out);
    }
}

/// HMAC-SHA-512 (RFC 2104) of several texts under each key: out[t][i] = HMAC(keys[i], texts[t] of row i).
/// The states after the padded key are shared by the texts.
pub fn hmac_many<E: Engine>(keys: &[[u8; 64]], texts: &[Text], out: &mut [&mut [[u8; 64]]]) {
    let mut endings: Vec<Ending> = texts
        .iter()
        .map(|text| Ending::new(BLOCK_BYTES, text.head, text.width, text.tail))
        .collect();
    for (group, keys) in keys.chunks(E::LANES).enumerate() {
        let start = group * E::LANES;
        let mut states = Wiped::new([LaneValues([0; 8]); 8], 2);
        states[0] = key_state::<E>(keys, 0x36);
        states[1] = key_state::<E>(keys, 0x5c);
        for ((text, ending), out) in texts.iter().zip(&mut endings).zip(out.iter_mut()) {
            let mut state = states[0];
            ending.absorb::<E>(&mut state, &text.messages[start * text.width..], keys.len());
            // The outer message is the inner digest, whose words are the state's: one more block.
            let mut block = Wiped::new(LaneValues([0; 8]), 16);
            block[..8].copy_from_slice(&state);
            block[8] = LaneValues([1 << 63; 8]);
            block[15] = LaneValues([8 * (BLOCK_BYTES + 64) as u64; 8]);
            state = states[1];
            let block = (&block[..]).try_into().expect("sixteen words");
            // SAFETY: an engine exists only where the processor has its features.
            unsafe { E::sha512_block(&mut state, block) };
            store(&mut state, &mut out[start..][..keys.len()]);
        }
    }
}

/// The state after each lane's key, filled up with zeros to a block and masked with `pad`.
fn key_state<E: Engine>(keys: &[[u8; 64]], pad: u8) -> State {
    let mask = u64::from_ne_bytes([pad; 8]);
    let mut block = Wiped::new(LaneValues([mask; 8]), 16);
    for lane in 0..E::LANES {
        let key = &keys[lane.min(keys.len() - 1)];
        for (word, bytes) in block.iter_mut().zip(key.chunks_exact(8)) {
            word.0[lane] = big_endian(bytes) ^ mask;
        }
    }
    let mut state = INITIAL.map(|word| LaneValues([word; 8]));
    let block = (&block[..]).try_into().expect("sixteen words");
    // SAFETY: an engine exists only where the processor has its features.
    unsafe { E::sha512_block(&mut state, block) };
    state
}

#[inline(always)]
fn big_endian(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}
