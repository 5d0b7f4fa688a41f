import { expect, it } from 'vitest';
import { bytesOf } from '../../../pipelines/json-limits.js';
import type { GivenDecision, Wait } from '../../../pipelines/run/index.js';
import { Waits } from '../../../workflows/interpreter/index.js';

/** Decides a wait for changed arguments. */
function decided(count: number, bytes: number): Waits {
  const waits = new Waits();
  for (let i = 0; i < count; i++) {
    const nonce = `n${i}`;
    waits.begin({ nonce, path: 'pay', call: { tool: 'pay', arguments: {} } } as unknown as Wait);
    waits.decide({ nonce, approved: true, arguments: { to: 'x'.repeat(bytes) } } as unknown as GivenDecision);
  }
  return waits;
}

it('the latest decisions go along into a new history, as many as fit into what it begins with', () => {
  const few = decided(300, 10).carried;
  expect(Object.keys(few)).toEqual(Array.from({ length: 256 }, (_, i) => `n${44 + i}`));
  const large = decided(300, 15_000).carried;
  expect(bytesOf(large)).toBeLessThan(1_000_000);
  expect(Object.keys(large).at(-1)).toBe('n299');
  expect(Object.keys(large).length).toBeGreaterThan(20);
});
