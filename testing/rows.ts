import {
  agentOf,
  allSteps,
  type Graph,
  isStage,
  memoryRow,
  resultRow,
  searchRow,
  serverRow,
  sessionRow,
  type ToolPlan,
  toolRow,
} from '../pipelines/plan/index.js';
import type { Placement, StagePlacement } from '../pipelines/run/index.js';
import { alternativesOf } from '../placement/place.js';

/** A placement with the same place for everything in a plan. */
export const placedAt = (graph: Graph, at: StagePlacement): Placement =>
  Object.fromEntries(rowsOf(graph).map((row) => [row, at]));

/** Every row that a placement of the plan has. */
const rowsOf = (graph: Graph): string[] =>
  [...allSteps(graph)].flatMap((step) => {
    if (!isStage(step)) {
      return step.kind === 'pipeline' && step.run === 'child' ? rowsOf(step.plan).map((id) => `${step.id}/${id}`) : [];
    }
    return [step, ...alternativesOf(step)].flatMap((by, i) => {
      const row = i === 0 ? step.id : `${step.id}~${i}`;
      if (by.kind !== 'agent') return [row];
      const { tools, servers = [] } = agentOf(by);
      const ofServers = servers.map(({ server }) => serverRow(row, server));
      return [
        row,
        sessionRow(row),
        memoryRow(row),
        resultRow(row),
        searchRow(row),
        ...ofServers,
        ...tools.flatMap((tool) => rowsOfTool(tool, row)),
      ];
    });
  });

function rowsOfTool(tool: ToolPlan, row: string): string[] {
  const own = toolRow(row, tool.name);
  return tool.by === 'pipeline' ? rowsOf(tool.plan).map((id) => `${own}/${id}`) : [own];
}
