import type { GivenDecision, StageRecord } from '../../../pipelines/run/index.js';
import { StageError } from '../../../pipelines/run/stage-error.js';
import { runInProcess } from '../../../workers/hosts/in-process-host.js';
import { Waits } from '../../../workflows/interpreter/index.js';
import { agentSuite } from '../../contract/agent-suite.js';
import { hostSuite, type SuiteHost } from '../../contract/host-suite.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

const inProcess: SuiteHost = {
  async run(pipeline, input, { context, act } = {}) {
    const runner = new CodeRunner(pipeline);
    const waits = new Waits();
    const cancel = new AbortController();
    let rows: readonly StageRecord[] = [];
    const run = {
      waiting: async () => waits.open,
      decide: async (given: GivenDecision) => {
        try {
          waits.decide(given);
        } catch (error) {
          throw error instanceof StageError ? new Error(`${error.code}: ${error.message}`) : error;
        }
      },
      cancel: async () => cancel.abort(),
      rows: async () => rows,
    };
    const acting = act?.(run);
    try {
      const result = await runInProcess(
        input,
        { ...contextOf(pipeline), ...context },
        {
          runner,
          run: 'r',
          waits,
          signal: cancel.signal,
          onReport: (stages) => {
            rows = stages;
          },
        },
      );
      return { ...result, events: runner.events };
    } catch (error) {
      if (error instanceof StageError) {
        const { code, message, details } = error;
        return { code, message, stages: (details.stages ?? []) as unknown as StageRecord[], events: runner.events };
      }
      if (cancel.signal.aborted) return { code: 'RUN_CANCELLED', stages: rows, events: runner.events };
      throw error;
    } finally {
      await acting;
    }
  },
};

hostSuite('in one process', () => inProcess);
agentSuite('in one process', () => inProcess);
