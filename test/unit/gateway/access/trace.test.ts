import { describe, expect, it } from 'vitest';
import { traceparentOf } from '../../../../activities/stage/trace.js';
import { traceOf } from '../../../../gateway/access/trace.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('traceparent', () => {
  it.each([
    ['sampled', `00-${TRACE}-${SPAN}-01`, `${TRACE}-${SPAN}-01`],
    ['not sampled', `00-${TRACE}-${SPAN}-00`, `${TRACE}-${SPAN}-00`],
    ['with flags that are not known', `00-${TRACE}-${SPAN}-ff`, `${TRACE}-${SPAN}-01`],
    ['of a later version, with more', `01-${TRACE}-${SPAN}-01-more`, `${TRACE}-${SPAN}-01`],
  ])('%s is read', (_, traceparent, trace) => {
    expect(traceOf({ traceparent })).toBe(trace);
  });

  it.each([
    ['none', undefined],
    ['two', [`00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01`]],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a parent of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['capitals', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['no flags', `00-${TRACE}-${SPAN}`],
    ['more in the first version', `00-${TRACE}-${SPAN}-01-more`],
    ['too much', `01-${TRACE}-${SPAN}-01-${'x'.repeat(300)}`],
  ])('%s is passed over', (_, traceparent) => {
    expect(traceOf({ traceparent })).toBeUndefined();
  });

  it('of a call has the caller’s trace, span and flags', () => {
    expect(traceparentOf('run', 'a', `${TRACE}-${SPAN}-00`)).toBe(`00-${TRACE}-${SPAN}-00`);
  });

  it('of a call in a run without a caller’s has the run’s, and a parent of the call', () => {
    expect(traceparentOf('run', 'a', `${TRACE}-01`)).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
    expect(traceparentOf('run', 'a', `${TRACE}-01`)).not.toBe(traceparentOf('run', 'b', `${TRACE}-01`));
  });

  it('of a call without one has a trace of the run, as before', () => {
    expect(traceparentOf('run', 'a')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(traceparentOf('run', 'a').slice(0, 35)).toBe(traceparentOf('run', 'b').slice(0, 35));
    expect(traceparentOf('run', 'a')).not.toBe(traceparentOf('other', 'a'));
  });
});
