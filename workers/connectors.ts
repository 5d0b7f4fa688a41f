import { type Connector, type Connectors, createConnectors } from '../activities/connectors/index.js';
import { keysOf, linkOf } from './pool-keys.js';
import type { Settings } from './settings.js';

/**
 * The connectors of a process, with the keys of its settings.
 * @param outside connectors besides Millrace's own; default: those of the configuration
 */
export const connectorsOf = (
  settings: Settings,
  outside: readonly Connector[] = settings.config.connectors,
): Connectors => createConnectors({ keyOf: keysOf(settings), linkOf, outside });
