import { invalid } from '../definition/invalid.js';
import type { GuardPlan } from '../plan/agent.js';
import type { Guardrail, Tool } from '../tools/tool.js';

/** Throws `INVALID_PIPELINE` for names that are taken, and for tools that the agent does not have. */
export function guardsOf(
  guardrails: readonly Guardrail[],
  offered: readonly Tool[],
  ownTools: readonly string[],
): readonly GuardPlan[] {
  const names = [...offered.map(({ plan }) => plan.name), ...ownTools];
  for (const [i, { guard, check }] of guardrails.entries()) {
    const where = `agent.guardrails[${i}]`;
    if (guardrails.findIndex((other) => other.guard.name === guard.name) !== i || names.includes(check.plan.name))
      throw invalid(
        `${where}.name`,
        `"${guard.name}" is the name of another guardrail, or "guard_${guard.name}" of a tool`,
      );
    const stray = guard.only?.find((name) => !names.includes(name));
    if (stray !== undefined) throw invalid(`${where}.tools`, `no tool is named "${stray}"`);
  }
  return guardrails.map(({ guard }) => guard);
}
