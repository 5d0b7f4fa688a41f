import { MillraceError } from '../../pipelines/errors.js';
import { type PlannerInput, withMoreDevices } from '../planner/index.js';
import type { Load } from '../simulator/index.js';
import { nearest } from '../source/index.js';

/**
 * The input as changed by a question: `add 1×A100`, `without gpu1/0`, `rate 2x`, `slo 600ms`. Throws `INVALID_INPUT`
 * for any other question, or for names that the inventory lacks.
 */
export function whatIf(input: PlannerInput, question: string): PlannerInput {
  const text = question.trim();
  const [, count, kind] = /^add\s+(?:(\d+)\s+)?(\S+)$/i.exec(normalised(text)) ?? [];
  if (kind !== undefined) return withAdded(input, Number(count ?? 1), kind, question);
  const [, gone] = /^without\s+(\S+)$/i.exec(text) ?? [];
  if (gone !== undefined) return withoutDevice(input, gone, question);
  const [, factor] = /^rate\s+(\d+(?:\.\d+)?)\s*[x×]$/i.exec(text) ?? [];
  if (factor !== undefined && Number(factor) > 0) return { ...input, load: faster(input.load, Number(factor)) };
  const [, amount, unit] = /^slo\s+(\d+(?:\.\d+)?)(ms|s)$/i.exec(text) ?? [];
  if (amount !== undefined && Number(amount) > 0) {
    const ms = Number(amount) * (unit?.toLowerCase() === 's' ? 1000 : 1);
    const { p95Ms, p99Ms } = input.objective;
    const changed = p99Ms === undefined && p95Ms !== undefined ? { p95Ms: ms } : { p99Ms: ms };
    return { ...input, objective: { ...input.objective, ...changed } };
  }
  throw wrong(question, 'ask "add 1×a100", "without gpu1/0", "rate 2x" or "slo 600ms"');
}

/** `add 2×A100` as `add 2 A100`. */
const normalised = (text: string): string => text.replace(/^add\s+(\d+)\s*[x×]\s*/i, 'add $1 ');

function withAdded(input: PlannerInput, count: number, name: string, question: string): PlannerInput {
  const kinds = [...new Set(input.inventory.devices.map(({ kind }) => kind))];
  const kind = kinds.find((each) => each.toLowerCase() === name.toLowerCase());
  if (kind === undefined || count < 1 || count > 1024) {
    throw wrong(
      question,
      kind === undefined ? `the inventory has no "${name}"${nearest(name, kinds)}` : 'add 1 to 1024 devices',
    );
  }
  return { ...input, inventory: withMoreDevices(input.inventory, kind, count) ?? input.inventory };
}

function withoutDevice(input: PlannerInput, gone: string, question: string): PlannerInput {
  const { devices } = input.inventory;
  const left = devices.filter(({ id, node }) => id !== gone && node !== gone && id.replace(/\.\d+$/, '') !== gone);
  if (left.length === devices.length) {
    throw wrong(
      question,
      `there is no device or node "${gone}"${nearest(
        gone,
        devices.map(({ id }) => id),
      )}`,
    );
  }
  return { ...input, inventory: { ...input.inventory, devices: left } };
}

const faster = (load: Load, factor: number): Load => ({ ...load, timesMs: load.timesMs.map((t) => t / factor) });

const wrong = (question: string, message: string): MillraceError =>
  new MillraceError('INVALID_INPUT', `--what-if ${question}: ${message}`, {
    fields: [{ field: '--what-if', message }],
  });
