import type { Headers } from './caller.js';

/** Version, trace, parent and flags; versions after the first may have more. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * The trace of a request, as `RunContext.trace` has it. Undefined without a valid `traceparent`, as the standard wants it: a wrong
 * one is no error (W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header).
 */
export function traceOf({ traceparent }: Headers): string | undefined {
  // Compared before it is matched: a header may be long.
  if (typeof traceparent !== 'string' || traceparent.length > LONGEST) return undefined;
  const [, version, trace, parent, flags, more] = TRACEPARENT.exec(traceparent) ?? [];
  if (trace === undefined || (version === '00' && more !== undefined)) return undefined;
  // Of the flags version 00 knows one: sampled.
  return `${trace}-${parent}-0${Number.parseInt(flags ?? '0', 16) & 1}`;
}

const LONGEST = 255;
