import { agentOf } from '../plan/agent.js';
import { allSteps, callsOf, type Graph, isStage, type StagePlan } from '../plan/plan.js';
import { traitsOf } from '../stages/traits.js';
import { checkTools } from './agent-tools.js';
import { invalid } from './invalid.js';
import { checkTimes, type StageOptions } from './stage-options.js';

/**
 * Checks the steps of a pipeline that becomes part of another one against the other one’s deadline, as if they had been added there. Throws
 * `INVALID_PIPELINE` naming the step by its path.
 *
 * @param authored options given for the stages, by path
 * @param deadlineMs of the pipeline that runs it, in milliseconds
 */
export function checkInlined(graph: Graph, authored: ReadonlyMap<string, StageOptions>, deadlineMs: number): void {
  for (const step of allSteps(graph)) {
    if (isStage(step)) checkStage(step, authored.get(step.id) ?? {}, deadlineMs);
    else if (step.kind === 'pipeline' && step.run === 'child') checkChild(step.id, step.plan.deadlineMs, deadlineMs);
  }
}

function checkStage(stage: StagePlan, options: StageOptions, deadlineMs: number): void {
  checkTimes(stage.id, options, deadlineMs);
  for (const by of callsOf(stage)) if (by.kind === 'agent') checkTools(stage.id, agentOf(by), deadlineMs);
  if (stage.kind !== 'agent' && traitsOf(stage)?.servedBy === 'interpreter')
    checkWait(stage.id, stage.with.timeoutMs, deadlineMs);
}

/** A wait that the interpreter makes itself, as that for a person, must end within the run. */
export function checkWait(id: string, timeoutMs: unknown, deadlineMs: number): void {
  if (!(Number(timeoutMs) > deadlineMs)) return;
  throw invalid(`${id}.timeout`, `is ${Number(timeoutMs)} ms, longer than the pipeline’s deadline of ${deadlineMs} ms`);
}

/** A child run must end within the run that waits for it. */
export function checkChild(id: string, childMs: number, deadlineMs: number): void {
  if (childMs <= deadlineMs) return;
  throw invalid(id, `runs up to ${childMs} ms, longer than the pipeline’s deadline, ${deadlineMs} ms`);
}
