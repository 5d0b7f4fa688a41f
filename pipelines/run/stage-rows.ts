import { allSteps, type Graph, isStage } from '../plan/plan.js';
import type { Placement } from './placement.js';
import type { StageRecord } from './stage-record.js';

/** A run's stage table before any stage has started. */
export function rowsAtStart(graph: Graph, placement: Placement): readonly StageRecord[] {
  const rows: StageRecord[] = [];
  for (const step of allSteps(graph)) {
    const { id, kind } = step;
    const { connector = '', device = '' } = placement[id] ?? {};
    if (isStage(step)) rows.push({ stage: id, kind, connector, model: step.model, device, status: 'waiting' });
    else if (step.kind === 'pipeline' && step.run === 'child') {
      rows.push({ stage: id, kind, connector: 'workflow', model: step.plan.name, device: '', status: 'waiting' });
    }
  }
  return rows;
}
