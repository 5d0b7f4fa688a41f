import { describe, expect, it } from 'vitest';
import { makePlacement } from '../../../placement/explain/index.js';
import { queuesOf } from '../../../placement/queues.js';
import { plannerInput, profileFile } from './placement-files.js';

/** Two nodes of two devices each, and a network between them that a large output takes seconds on. */
const cluster = (bandwidth: string) => `format: 1
nodes:
  - { name: far, devices: [{ kind: l4, memory: 24GiB, pricePerHour: 0.70 }] }
  - { name: near, devices: [{ kind: l4, count: 2, memory: 24GiB, pricePerHour: 0.70 }] }
links:
  - { name: rack, type: network, joins: [far, near], bandwidth: ${bandwidth}, latency: 100us }
`;
const pipeline = JSON.stringify({
  format: 1,
  name: 'voice',
  stages: [
    { id: 'hear', model: 'whisper', outputBytes: 50_000_000 },
    { id: 'speak', model: 'tts', after: ['hear'] },
  ],
});
/** Too large to share a device. */
const large = { memory: { weights: '16GiB' } };
const profiles = [profileFile('whisper', 'l4', 40, large), profileFile('tts', 'l4', 40, large)];

function placed(bandwidth: string, text = pipeline, tables = profiles) {
  let ticks = 0;
  const input = plannerInput({ cluster: cluster(bandwidth), pipelines: [text], profiles: tables, rate: 5, p99Ms: 600 });
  return makePlacement(input, { objective: 'cost', timeLimitMs: 400, clock: () => ticks++ });
}

const devicesOf = (placement: ReturnType<typeof placed>) =>
  placement.pools.flatMap(({ replicas }) => replicas.flatMap(({ devices }) => devices));

describe('stages that hand much on', { timeout: 120_000 }, () => {
  it('are placed on one node where the link between nodes costs time, and run there', () => {
    const placement = placed('200MB/s');
    expect(devicesOf(placement).sort()).toEqual(['near/0', 'near/1']);
    // 50 MB take 250 ms over the network, and 4 ms within the node.
    expect(placement.predicted.p99Ms).toBeLessThan(250);
    expect(placement.costPerHour).toBe(1.4);
    const queues = ['whisper', 'tts'].map((model) => queuesOf(placement, 'blue')(model)?.queue);
    expect(queues.sort()).toEqual(['blue.device.near.0', 'blue.device.near.1']);
  });

  it('are left where they were found where it costs next to nothing', () => {
    expect(devicesOf(placed('100GB/s'))).toEqual(['far/0', 'near/0']);
  });

  it('change places with others that hand on little', () => {
    // Each stage has a device to itself: two of three are neighbours, and which two is the choice.
    const three = JSON.stringify({
      format: 1,
      name: 'voice',
      stages: [
        { id: 'split', model: 'splitter' },
        { id: 'hear', model: 'whisper', after: ['split'], outputBytes: 50_000_000 },
        { id: 'speak', model: 'tts', after: ['hear'] },
      ],
    });
    const placement = placed('200MB/s', three, [...profiles, profileFile('splitter', 'l4', 40, large)]);
    const of = (model: string) => placement.pools.find((pool) => pool.model === model)?.replicas[0]?.devices[0];
    expect([of('whisper'), of('tts')].sort()).toEqual(['near/0', 'near/1']);
    expect(of('splitter')).toBe('far/0');
  });
});
