import { readInventory } from '../../placement/inventory/index.js';
import { asName } from './device-lines.js';

/** Converted to a node's name in an inventory: a host name, with its domain if it has one. */
export const asNode = (text: string): string =>
  text
    .split('.')
    .map(asName)
    .filter((part) => part !== '')
    .join('.')
    .slice(0, 63)
    .replace(/[.-]+$/, '');

/**
 * The name of a node with this host name: with its domain, as Kubernetes often labels it, unless the `cluster.yaml` has it without. Throws
 * `INVALID_INVENTORY` if the file cannot be read.
 *
 * @param before the text of the file; undefined: there is none yet
 */
export function nodeOf(host: string, before: string | undefined, file: string): string {
  const whole = asNode(host);
  const [short = ''] = whole.split('.');
  if (before === undefined || whole === short) return whole;
  const nodes = new Set(readInventory(before, file).devices.map(({ node }) => node));
  return nodes.has(short) && !nodes.has(whole) ? short : whole;
}
