import { didYouMean } from '../pipelines/did-you-mean.js';
import { agentOf, allSteps, type Graph, isStage } from '../pipelines/plan/index.js';
import { alternativesOf } from '../placement/place.js';
import { TestError } from './test-error.js';

/** The names in a plan that scripts can be given for. */
export interface Names {
  readonly stages: ReadonlySet<string>;
  readonly models: ReadonlySet<string>;
  readonly tools: ReadonlySet<string>;
  /** Some tools are known only in the run: those of MCP servers. */
  readonly moreTools: boolean;
}

/** Of a plan, its child runs and the pipelines that are tools of its agents. */
export function namesOf(graph: Graph): Names {
  const names = { stages: new Set<string>(), models: new Set<string>(), tools: new Set<string>(), moreTools: false };
  const walk = (inner: Graph): void => {
    for (const step of allSteps(inner)) {
      if (!isStage(step)) {
        if (step.kind === 'pipeline' && step.run === 'child') walk(step.plan);
        continue;
      }
      names.stages.add(step.id);
      for (const by of [step, ...alternativesOf(step)]) {
        names.models.add(by.model);
        if (by.kind !== 'agent') continue;
        const { tools, servers = [] } = agentOf(by);
        if (servers.length > 0) names.moreTools = true;
        for (const tool of tools) {
          names.tools.add(tool.name);
          if (tool.by === 'pipeline') walk(tool.plan);
          else names.models.add(tool.model);
        }
      }
    }
  };
  walk(graph);
  return names;
}

/** Throws a `TestError` for a name that the pipeline does not have: a misspelled script would never be used. */
export function checkNames(option: string, given: Readonly<Record<string, unknown>>, known: Iterable<string>): void {
  const all = [...known];
  for (const name of Object.keys(given)) {
    // A path of an item or a round, or of a call below a stage.
    if (all.includes(name) || name.includes('[') || all.some((each) => name.startsWith(`${each}/`))) continue;
    const listed = all.length > 0 ? `it has ${all.join(', ')}` : 'it has none';
    throw new TestError(`${option}.${name}: the pipeline has nothing of this name; ${listed}${didYouMean(name, all)}`);
  }
}
