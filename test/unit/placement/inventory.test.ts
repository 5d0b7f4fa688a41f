import { describe, expect, it } from 'vitest';
import { readInventory, routeBetween } from '../../../placement/inventory/index.js';
import { examples } from './reference-examples.js';
import { refusal } from './refusal.js';

const [EXAMPLE = ''] = examples('yaml');
const refused = (change: (text: string) => string) => refusal(() => readInventory(change(EXAMPLE)));

describe('an inventory', () => {
  it('is read as the reference shows it', () => {
    const { devices, currency, endpoints } = readInventory(EXAMPLE);
    expect(devices.map(({ id, kind, pricePerHour, concurrency }) => [id, kind, pricePerHour, concurrency])).toEqual([
      ['gpu1/0', 'a100', 2.4, 1],
      ['gpu1/1', 'a100', 2.4, 1],
      ['gpu1/2.0', 'a100:mig2', 1.2, 1],
      ['gpu1/2.1', 'a100:mig2', 1.2, 1],
      ['gpu2/0', 'a10:mps4', 0.9, 4],
      ['cpu1/0', 'xeon', 0.3, 8],
    ]);
    expect(devices.map(({ memoryBytes }) => memoryBytes / 2 ** 30)).toEqual([80, 80, 40, 40, 24, 64]);
    expect(currency).toBe('EUR');
    expect(endpoints).toEqual([{ url: 'gpu2:8001', connector: 'triton', device: 'gpu2/0', models: ['whisper'] }]);
  });

  it('has parts of MIG with the memory that the hardware gives equal ones, or that is stated', () => {
    const cut = (share: string) => (text: string) => text.replace('{ mode: mig, parts: 2 }', `{ ${share} }`);
    const bytesOf = (share: string) =>
      readInventory(cut(share)(EXAMPLE)).devices.find(({ id }) => id === 'gpu1/2.0')?.memoryBytes ?? 0;
    const gib = [2, 3, 4, 5, 6, 7].map((parts) => bytesOf(`mode: mig, parts: ${parts}`) / 2 ** 30);
    expect(gib).toEqual([40, 20, 20, 10, 10, 10]);
    expect(bytesOf('mode: mig, parts: 7, memory: 9.5GiB') / 2 ** 30).toBe(9.5);
    expect(refused(cut('mode: mig, parts: 7, memory: 80GiB')).fields).toEqual([
      'cluster.yaml:8 nodes[0].devices[1].share.memory: 7 parts of it are more than the device’s 85899345920 bytes: give the memory of one part',
    ]);
    expect(refused(cut('mode: mps, parts: 2, memory: 9GiB')).fields[0]).toMatch(/:8 .*memory: .*share the memory/);
    const third = '      - { kind: a100, memory: 80GiB, share: { mode: mig, parts: 2, memory: 39GiB } }\n';
    const two = (text: string) => text.replace('  - name: gpu2\n', `${third}  - name: gpu2\n`);
    expect(refused(two).fields[0]).toMatch(/:9 nodes\[0\]\.devices\[2\]\.share: a "a100:mig2" elsewhere has/);
  });

  it('takes the fastest link that joins two devices, links in links included', () => {
    const inventory = readInventory(EXAMPLE);
    const device = (id: string) => inventory.devices.find((each) => each.id === id) ?? expect.fail(id);
    const route = (a: string, b: string) => routeBetween(inventory, device(a), device(b));
    expect(route('gpu1/0', 'gpu1/1')).toMatchObject({ type: 'nvlink', bytesPerMs: 300e6, latencyMs: 0.005 });
    expect(route('gpu1/0', 'gpu1/2.1')).toMatchObject({ type: 'pcie', bytesPerMs: 25e6 });
    expect(route('gpu1/2.0', 'gpu1/2.1')).toMatchObject({ type: 'pcie' });
    expect(route('gpu1/0', 'cpu1/0')).toMatchObject({ type: 'network', bytesPerMs: 25 * 125e3, latencyMs: 0.1 });
    expect(route('gpu1/0', 'gpu1/0')).toBeUndefined();
    const bare = readInventory(EXAMPLE.replace(/links:[\s\S]*?endpoints/, 'endpoints'));
    expect(routeBetween(bare, device('gpu1/0'), device('gpu1/1'))?.type).toBe('pcie');
    expect(routeBetween(bare, device('gpu1/0'), device('gpu2/0'))?.type).toBe('network');
    // A network that joins nodes is none within one.
    const rackOnly = readInventory(EXAMPLE.replace(/^ {2}- \{ name: (bridge|bus),.*\n/gm, ''));
    expect(routeBetween(rackOnly, device('gpu1/0'), device('gpu1/1'))?.type).toBe('pcie');
    expect(routeBetween(rackOnly, device('gpu1/0'), device('gpu2/0'))?.latencyMs).toBe(0.1);
  });

  it('names the line of an amount that cannot be', () => {
    expect(refused((text) => text.replace('80GiB', '-80GiB'))).toEqual({
      code: 'INVALID_INVENTORY',
      fields: [
        'cluster.yaml:7 nodes[0].devices[0].memory: -80GiB is negative: give an amount of memory such as "80GiB" ' +
          '(units: B, kB, MB, GB, TB, KiB, MiB, GiB, TiB)',
      ],
    });
    expect(refused((text) => text.replace('80GiB', '0GiB')).fields[0]).toMatch(/:7 .*0GiB is nothing/);
    expect(refused((text) => text.replace('80GiB', 'plenty')).fields[0]).toMatch(/:7 .*"plenty" is not an amount/);
    expect(refused((text) => text.replace('2.40', '-2.40')).fields[0]).toMatch(/:7 .*pricePerHour: a price is not/);
    expect(refused((text) => text.replace('5us', '-5us')).fields[0]).toMatch(
      /:16 links\[0\].latency: -5us is negative/,
    );
  });

  it('names the line of a device that is not there', () => {
    expect(refused((text) => text.replace('joins: [gpu1/0,', 'joins: [gpu1/7,'))).toEqual({
      code: 'INVALID_INVENTORY',
      fields: ['cluster.yaml:16 links[0].joins[0]: there is no device, node or link "gpu1/7" (did you mean "gpu1/0"?)'],
    });
    expect(refused((text) => text.replace('device: gpu2/0', 'device: gpu9/0')).fields).toEqual([
      'cluster.yaml:20 endpoints[0].device: there is no device "gpu9/0" (did you mean "gpu1/0"?)',
    ]);
  });

  it('refuses a link that contains itself, at once or by way of another', () => {
    expect(refused((text) => text.replace('[bridge, gpu1/2]', '[bus, gpu1/2]'))).toEqual({
      code: 'INVALID_INVENTORY',
      fields: ['cluster.yaml:17 links[1].joins[0]: the link "bus" contains itself (bus > bus): remove "bus" here'],
    });
    expect(refused((text) => text.replace('[gpu1/0, gpu1/1]', '[gpu1/0, bus]')).fields).toEqual([
      'cluster.yaml:17 links[1].joins[0]: the link "bridge" contains itself (bridge > bus > bridge): remove "bridge" here',
      'cluster.yaml:16 links[0].joins[1]: the link "bus" contains itself (bus > bridge > bus): remove "bus" here',
    ]);
  });

  it('refuses aliases that unfold to many times the file', () => {
    const row = (i: number) =>
      `a${i}: &a${i} [${Array(9)
        .fill(`*a${i - 1}`)
        .join(', ')}]`;
    const text = ['a0: &a0 x', ...Array.from({ length: 9 }, (_, i) => row(i + 1))].join('\n');
    expect(refused(() => text).fields.join()).toMatch(/alias/i);
  });

  it('has nodes by their host names, and refuses two whose devices would have one queue', () => {
    const renamed = (name: string) =>
      EXAMPLE.replace('name: cpu1', `name: ${name}`).replace('[gpu1, gpu2, cpu1]', `[gpu1, gpu2, ${name}]`);
    const dotted = (name: string) => readInventory(renamed(name));
    expect(dotted('ip-10-0-1-2.ec2.internal').devices.at(-1)).toMatchObject({
      id: 'ip-10-0-1-2.ec2.internal/0',
      node: 'ip-10-0-1-2.ec2.internal',
    });
    for (const name of ['a..b', '.a', 'a.', 'A.b', 'a_b', 'x'.repeat(64)])
      expect(refusal(() => dotted(name)).fields[0]).toMatch(/:12 nodes\[2\]\.name: a node: /);
    // gpu1/2 has the parts 0 and 1.
    expect(refusal(() => dotted('gpu1.2')).fields).toEqual([
      'cluster.yaml:12 nodes[2].name: the queues of gpu1.2/0 and of a device of "gpu1" have one name: rename one node',
    ]);
  });

  it('refuses what it does not know, what is twice, and what is no YAML', () => {
    expect(refused((text) => text.replace('currency', 'curency')).fields).toEqual([
      'cluster.yaml:3 curency: no such field: remove or correct it',
    ]);
    expect(refused((text) => text.replace('name: gpu2', 'name: gpu1')).fields[0]).toMatch(
      /:9 nodes\[1\].name: "gpu1" is/,
    );
    expect(refused((text) => text.replace('kind: a10,', 'kind: a100,')).fields[0]).toMatch(
      /:11 .*memory: a "a100" else/,
    );
    expect(refused((text) => text.replace('format: 1', 'format: 2')).fields).toEqual([
      'cluster.yaml:2 format: must be 1, the format of this release',
    ]);
    expect(refused((text) => text.replace('nodes:', 'nodes: ]')).fields[0]).toMatch(/^cluster.yaml:4: /);
    expect(refused(() => '').code).toBe('INVALID_INVENTORY');
    expect(refused(() => 'format: 1\nnodes: []').fields).toEqual(['cluster.yaml:2 nodes: no nodes: list at least one']);
  });
});
