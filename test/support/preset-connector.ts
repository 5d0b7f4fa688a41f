import type { Backend, Connector, PoolOptions } from '../../activities/connectors/connector.js';
import { httpConnector, PRESETS } from '../../activities/connectors/http/index.js';
import { optionsOf } from '../../activities/connectors/pool-options.js';

type Options = Readonly<Record<string, unknown>>;

/** Pools of the connector `http` with one preset, a pool for each kind, as one connector: what the contract suite takes. */
export function presetConnector(preset: string, options: Options | ((kind: string) => Options) = {}): Connector {
  const kinds = Object.keys(PRESETS.get(preset)?.kinds ?? {});
  const of = (kind: string) => ({ preset, ...(typeof options === 'function' ? options(kind) : options) });
  return { ...poolsOf(httpConnector(), kinds, of), name: preset };
}

/** Pools of a connector whose options are of one kind each, a pool for each kind, as one connector. */
export function poolsOf(
  connector: Connector,
  kinds: readonly string[] = [...connector.kinds],
  options: (kind: string) => Options = () => ({}),
): Connector {
  const optionsFor = (kind: string): PoolOptions | undefined =>
    optionsOf(connector, { kind, options: options(kind) }, 'options');
  const streams = kinds.some((kind) => connector.capabilitiesOf?.(optionsFor(kind)).has('stream'));
  return {
    name: connector.name,
    kinds: new Set(kinds),
    capabilities: new Set(streams ? (['stream'] as const) : []),
    takesKey: true,
    connect(endpoint, key) {
      const pools = new Map<string, Backend>(
        kinds.map((kind) => [kind, connector.connect(endpoint, key, optionsFor(kind))]),
      );
      const some = pools.values().next().value as Backend;
      const of = (kind: string) => pools.get(kind) ?? some;
      return {
        endpoint,
        invoke: (call, context) => of(call.kind).invoke(call, context),
        probe: (model, kind, signal) => of(kind).probe(model, kind, signal),
        fingerprint: (model, signal) => some.fingerprint(model, signal),
        ...(some.ready && {
          ready: (model: string, signal: AbortSignal) => some.ready?.(model, signal) ?? Promise.resolve(false),
        }),
        close() {
          for (const pool of pools.values()) pool.close();
        },
      };
    },
  };
}
