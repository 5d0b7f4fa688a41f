import { readInventory } from '../../placement/inventory/index.js';
import { asName } from './device-lines.js';

/** A longer name is no value of a label in Kubernetes. */
const MOST_CHARACTERS = 63;

/**
 * Converted to a node's name in an inventory: a host name, with its domain if it has one and they have at most 63 characters together. A part of a
 * domain could not be resolved.
 */
export function asNode(text: string): string {
  const parts = text
    .split('.')
    .map(asName)
    .filter((part) => part !== '');
  const whole = parts.join('.');
  const [short = ''] = parts;
  return (whole.length <= MOST_CHARACTERS ? whole : short).replace(/-+$/, '');
}

/**
 * The name of a node with this host name: with its domain, as Kubernetes often labels it, unless the `cluster.yaml` has it without, or the
 * whole is too long. Throws `INVALID_INVENTORY` if the file cannot be read.
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
