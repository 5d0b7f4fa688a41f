/*
 * G.711 of the ITU-T, as telephony sends it: a sample is one byte, of which the sign, three bits of exponent and four of mantissa are stored with
 * some bits inverted. Its values are those of 16-bit PCM.
 */

const values = (sampleOf: (code: number) => number): Float32Array =>
  Float32Array.from({ length: 256 }, (_, code) => sampleOf(code) / 0x8000);

/** The sample of each code of µ-law. */
export const MU_LAW: Float32Array = values((code) => {
  const bits = code ^ 0xff;
  const size = ((((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
  return bits & 0x80 ? -size : size;
});

/** The sample of each code of A-law. */
export const A_LAW: Float32Array = values((code) => {
  const bits = code ^ 0x55;
  const exponent = (bits >> 4) & 7;
  const mantissa = (bits & 0x0f) << 4;
  const size = exponent === 0 ? mantissa + 8 : (mantissa + 0x108) << (exponent - 1);
  return bits & 0x80 ? size : -size;
});
