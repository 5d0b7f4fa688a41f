import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { sha256 } from '../../../workflows/interpreter/digest.js';

test('the digest of the sandbox is sha256', () => {
  const lengths = [0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 128, 100_000];
  for (const text of [...lengths.map((length) => 'x'.repeat(length)), 'é€𝄞', '\u0000\uffff', '{"order":"A1"}'])
    expect(sha256(text)).toBe(createHash('sha256').update(text).digest('hex'));
});
