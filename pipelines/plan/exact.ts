import { type OfKind, traitsOf } from '../stages/traits.js';

/** HTTP methods that change nothing (RFC 9110 §9.2.1). */
export const SAFE_METHODS: ReadonlySet<unknown> = new Set(['GET', 'HEAD']);

/** Kinds whose results change although their input does not, and why. */
const CHANGING: Readonly<Record<string, string>> = {
  session: 'its result changes with the conversation',
  memory: 'its result changes with what is remembered',
  mcp: 'a tool may have effects',
  'mcp-tools': 'its result changes with the server',
};

/**
 * Why a call cannot have an exact cache: a hit would skip an effect, or serve what has changed since. Undefined if it can.
 *
 * @param pure the author states that the call has no effects and that its input alone determines its result
 */
export function whyNotExact(call: OfKind & { readonly with?: unknown }, pure: boolean): string | undefined {
  const { kind } = call;
  const traits = traitsOf(call);
  if (!traits) return `the kind "${kind}" is not known`;
  if (traits.servedBy === 'interpreter') return `a stage of the kind "${kind}" has no cache`;
  if (traits.servedBy === 'temporal') return 'the call may have effects elsewhere, which a hit would skip';
  if (CHANGING[kind] !== undefined) return CHANGING[kind];
  if (traits.effects === 'none') return undefined;
  const method = kind === 'http' ? (call.with as { method?: unknown } | undefined)?.method : undefined;
  if (kind === 'upsert' || (kind === 'http' && !SAFE_METHODS.has(method)))
    return `${kind === 'http' ? String(method) : kind} has an effect, which a hit would skip`;
  if (kind !== 'code' && kind !== 'http' && traits.effects === 'intended')
    return `calls of the kind "${kind}" have effects, which a hit would skip`;
  if (pure) return undefined;
  return 'it may have effects, or read more than its input; state pure: true if neither is so';
}

/** Why failures of a stage cannot be kept; undefined if they can. */
export const whyNoFailures = ({ kind }: Pick<OfKind, 'kind'>): string | undefined =>
  kind === 'embed' ? 'does not apply to a stage of the kind "embed": its texts are cached one by one' : undefined;
