import { readFileSync } from 'node:fs';
import { TritonClient } from '../../../dist/activities/connectors/triton/index.js';

const ECHO = new URL('../../../deploy/local/models/echo/1/model.py', import.meta.url);
const EXECUTE = 'def execute(self, requests):';
const LOAD_MS = 60_000;

/** Models that are slow, and differ in how they take calls. */
const CONFIGS = {
  narrow: { dynamic_batching: { default_queue_policy: { max_queue_size: 2 } } },
  hasty: {
    dynamic_batching: {
      default_queue_policy: { timeout_action: 'REJECT', default_timeout_microseconds: 1_000 },
    },
  },
  many: { model_transaction_policy: { decoupled: true } },
};

/** Loads them into a Triton in the mode `explicit`. */
export async function loadModels(address) {
  const tensor = (name) => [{ name, data_type: 'TYPE_STRING', dims: [1] }];
  const source = readFileSync(ECHO, 'utf8').replace(EXECUTE, `${EXECUTE}\n        __import__("time").sleep(0.2)`);
  const client = new TritonClient(address);
  for (const [name, more] of Object.entries(CONFIGS)) {
    const config = {
      ...{ backend: 'python', max_batch_size: 1, input: tensor('TEXT'), output: tensor('OUT') },
      ...{ instance_group: [{ count: 1, kind: 'KIND_CPU' }], ...more },
    };
    await client.load(name, AbortSignal.timeout(LOAD_MS), {
      config: JSON.stringify(config),
      files: { '1/model.py': Buffer.from(source) },
    });
  }
  client.close();
}
