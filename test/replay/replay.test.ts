import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { createMetrics } from '../../telemetry/metrics.js';
import { workerSinks } from '../../workers/hosts/sinks.js';

const HISTORIES = fileURLToPath(new URL('./histories', import.meta.url));
const BUNDLE = fileURLToPath(new URL('../../dist/workflow-bundle.js', import.meta.url));
const recorded = readdirSync(HISTORIES, { recursive: true, encoding: 'utf8' }).filter((file) =>
  /\.json(\.gz)?$/.test(file),
);

interface RecordedEvent {
  readonly eventTime?: string;
  readonly workflowExecutionStartedEventAttributes?: { readonly workflowId?: string };
  readonly workflowTaskStartedEventAttributes?: object;
  readonly workflowTaskCompletedEventAttributes?: object;
}
interface Recorded {
  readonly events: readonly RecordedEvent[];
}

/** The history of a run that has gone on in a new one, as if it had been cancelled before its last workflow task, and had ended with it. */
function cancelledAtEnd({ events }: Recorded): Recorded {
  const [scheduled, started, completed] = events.slice(-4);
  const first = events.length - 3;
  const [scheduledEventId, startedEventId, workflowTaskCompletedEventId] = [1, 2, 3].map((i) => String(first + i));
  const tail = [
    {
      eventType: 'EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED',
      workflowExecutionCancelRequestedEventAttributes: { identity: 'test' },
    },
    scheduled,
    {
      ...started,
      workflowTaskStartedEventAttributes: { ...started?.workflowTaskStartedEventAttributes, scheduledEventId },
    },
    {
      ...completed,
      workflowTaskCompletedEventAttributes: {
        ...completed?.workflowTaskCompletedEventAttributes,
        ...{ scheduledEventId, startedEventId },
      },
    },
    {
      eventType: 'EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED',
      workflowExecutionCanceledEventAttributes: { workflowTaskCompletedEventId },
    },
  ];
  const eventTime = scheduled?.eventTime;
  return {
    events: [
      ...events.slice(0, -4),
      ...tail.map((event, i) => ({
        ...(eventTime !== undefined && { eventTime }),
        ...event,
        eventId: String(first + i),
      })),
    ],
  };
}

/** Runs of earlier releases must go on under this one: each committed history replays without a difference. */
describe('the interpreter replays', () => {
  beforeAll(() => {
    expect(existsSync(BUNDLE), 'the build is missing: npm run build').toBe(true);
    Runtime.install({ logger: new DefaultLogger('ERROR') });
  });
  const metrics = createMetrics();
  const options = { workflowBundle: { codePath: BUNDLE }, sinks: workerSinks({ metrics }) };
  const read = (file: string): Recorded => {
    const bytes = readFileSync(path.join(HISTORIES, file));
    return JSON.parse((file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString());
  };

  it.each(recorded)('%s', async (file) => {
    const history = read(file);
    // A child run's id is made of its parent's.
    const { workflowId } = history.events[0]?.workflowExecutionStartedEventAttributes ?? {};
    await Worker.runReplayHistory(options, history, workflowId);
  });

  // Of each change (decision 0120) there is a history from before it: without its patch, exactly these do not replay.
  it('only with their patches', async () => {
    const code = readFileSync(BUNDLE, 'utf8');
    const taken = code.replace(/(takes = \(change\) => )[^;]+;/, '$1true;');
    expect(taken).not.toBe(code);
    const folder = mkdtempSync(path.join(tmpdir(), 'millrace-replay-'));
    const codePath = path.join(folder, 'bundle.js');
    writeFileSync(codePath, taken);
    const failed: string[] = [];
    for (const file of recorded) {
      const history = read(file);
      const { workflowId } = history.events[0]?.workflowExecutionStartedEventAttributes ?? {};
      const replayed = Worker.runReplayHistory({ ...options, workflowBundle: { codePath } }, history, workflowId);
      await replayed.catch(() => failed.push(path.basename(file)));
    }
    rmSync(folder, { recursive: true });
    expect(failed.sort()).toEqual([
      'agent-session-approval.json',
      'agent-shortened-with-rules.json',
      'agent-shortened.json',
      'agent-without-tools.json',
      'approval-told.json',
      'deadline.json',
      'delivery-of-waits.json',
      'diverged-item.json',
      'each-on-queues.json',
      'interrupted-loop-2.json.gz',
      'large-children.json.gz',
      'large-state-2.json.gz',
      'large-state.json.gz',
      'lost-attempt.json',
      'lost-stream.json',
      'many-short-calls.json.gz',
      'untaken-calls.json',
    ]);
  });

  it('and ends a run that is cancelled when it is to go on in a new history: that would not be told of it', async () => {
    const history = read(recorded.find((name) => name.endsWith('/new-history.json.gz')) ?? '');
    await Worker.runReplayHistory(options, cancelledAtEnd(history));
  });

  it('and counts none of these runs again', async () => {
    expect((await metrics.runs.get()).values).toEqual([]);
  });

  it('and notices a history that it did not make', async () => {
    const file = recorded.find((name) => name.endsWith('queued-stages.json'));
    const text = JSON.stringify(read(file ?? '')).replaceAll('"second"', '"another"');
    await expect(Worker.runReplayHistory(options, JSON.parse(text))).rejects.toThrow();
  });
});
