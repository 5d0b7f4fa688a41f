import { expect, test } from 'vitest';
import { boundedLabel } from '../../../telemetry/bounded-label.js';

test('the first values have a series of their own, all others share one', () => {
  const labelOf = boundedLabel(2);
  expect(['a', 'b', 'c', 'a', 'd', 'b'].map(labelOf)).toEqual(['a', 'b', '_other', 'a', '_other', 'b']);
});
