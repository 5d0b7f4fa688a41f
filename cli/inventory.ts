import { readFileSync, writeFileSync } from 'node:fs';
import {
  asNode,
  deviceLines,
  exportedBy,
  kindOf,
  nodeOf,
  runningServers,
  thisMachine,
  withNode,
} from '../measure/inventory/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { connectorsOf } from '../workers/connectors.js';
import { endpointFinder } from '../workers/discovery.js';
import { loadModels } from '../workers/models.js';
import type { Settings } from '../workers/settings.js';
import { note, print, printJson, show } from './output.js';
import { wrongOption } from './place-files.js';

export interface InventoryCommandOptions {
  readonly out: string;
  readonly node?: string;
  readonly nvidiaSmi: string;
  readonly exporter?: string;
  readonly json?: boolean;
}

/** A device that works more than this has work that the inventory does not know. */
const BUSY = 0.05;

/** `millrace inventory`: adds this machine's devices and servers to `cluster.yaml`; with the name `-` prints them. */
export async function writeInventory(settings: Settings, options: InventoryCommandOptions): Promise<void> {
  const { out } = options;
  const machine = await thisMachine(options.nvidiaSmi);
  const before = out === '-' ? undefined : read(out);
  const node = options.node ?? nodeOf(machine.host, before, out);
  if (node !== asNode(node) || node === '') {
    throw wrongOption(
      '--node',
      `"${node}" is not a node name: use lower-case letters, digits, "-" and ".", at most 63, e.g. gpu1`,
    );
  }
  const exported = options.exporter === undefined ? [] : await exportedBy(options.exporter);
  const devices = deviceLines(exported.length > 0 ? { cpu: machine.cpu, gpus: exported } : machine);
  const count = devices.reduce((sum, line) => sum + (line.count ?? 1), 0);
  const servers = { connectors: connectorsOf(settings), find: endpointFinder(settings) };
  const { servers: endpoints, notes } = await runningServers(await loadModels(settings), servers, node, count);
  const text = withNode(before, { node, devices, endpoints }, out);
  for (const { id, name, utilisation = 0 } of exported) {
    if (utilisation >= BUSY) {
      const share = `${Math.round(utilisation * 100)} %`;
      notes.push(`${kindOf(name)} ${id} is ${share} busy already: a placement counts on all of it`);
    }
  }
  for (const { index, mig } of exported.length > 0 ? [] : machine.gpus) {
    if (mig)
      notes.push(
        `GPU ${index} is partitioned by MIG: add the partitions to its line, e.g. share: { mode: mig, parts: 2 }`,
      );
  }
  if (out === '-') print(text.trimEnd());
  else write(out, text);
  if (options.json && out !== '-')
    printJson({
      ...{ file: out, node, devices, endpoints, notes },
      ...(exported.length > 0 && { exported }),
    });
  else if (out !== '-')
    show(
      `${out}: ${node} has ${count} ${devices.map(({ kind }) => kind).join(', ')}; ${endpoints.length} servers run on it`,
    );
  for (const each of notes) note(`note: ${each}`);
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw new MillraceError('INVALID_INVENTORY', `cannot read ${file}: ${messageOf(error)}`);
  }
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw wrongOption('--out', `cannot write ${file}: ${messageOf(error)}`);
  }
}
