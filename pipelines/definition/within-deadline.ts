import { agentOf } from '../plan/agent.js';
import { allSteps, callsOf, type Graph, isStage, type StagePlan } from '../plan/plan.js';
import { traitsOf } from '../stages/traits.js';
import { checkTools } from './agent-tools.js';
import { invalid } from './invalid.js';

/**
 * Checks the waits for people, and those of tools, of a pipeline that becomes part of another one against the other one’s deadline: beyond it,
 * what holds when nobody decides would never apply. Other times are limited by what is left of the run. Throws `INVALID_PIPELINE` naming the step by its path.
 *
 * @param deadlineMs of the pipeline that runs it, in milliseconds
 */
export function checkInlined(graph: Graph, deadlineMs: number): void {
  for (const step of allSteps(graph)) if (isStage(step)) checkStage(step, deadlineMs);
}

function checkStage(stage: StagePlan, deadlineMs: number): void {
  for (const by of callsOf(stage)) if (by.kind === 'agent') checkTools(stage.id, agentOf(by), deadlineMs);
  if (stage.kind !== 'agent' && traitsOf(stage)?.servedBy === 'interpreter')
    checkWait(stage.id, stage.with.timeoutMs, deadlineMs);
}

/** A wait that the interpreter makes itself, as that for a person, must end within the run. */
export function checkWait(id: string, timeoutMs: unknown, deadlineMs: number): void {
  if (!(Number(timeoutMs) > deadlineMs)) return;
  throw invalid(`${id}.timeout`, `is ${Number(timeoutMs)} ms, longer than the pipeline’s deadline of ${deadlineMs} ms`);
}
