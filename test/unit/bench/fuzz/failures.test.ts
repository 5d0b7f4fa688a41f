import { expect, it } from 'vitest';
import { failuresIn } from '../../../../bench/fuzz/failures.js';

it('names each failure by its own operation, not by one before it that passed', () => {
  const report = `<testsuite>
    <testcase name="POST /v1/runs" time="1.5" />
    <testcase name="GET /mcp" time="4.2">
      <failure type="failure" message="ST103 &lt;405&gt;">1. Test Case ID: a</failure>
    </testcase>
    <testcase name="GET /healthz" time="0.1" />
  </testsuite>`;
  expect(failuresIn(report)).toEqual(['GET /mcp: ST103 <405>']);
});
