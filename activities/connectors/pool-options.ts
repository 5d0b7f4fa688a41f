import { didYouMean } from '../../pipelines/did-you-mean.js';
import { invalidSetting, invalidSettings } from '../../pipelines/invalid-setting.js';
import type { Connector, PoolOptions } from './connector.js';
import type { PoolAccess } from './registered.js';

/**
 * A pool's options as the connector's schema gives them; those of an empty object if the pool has none. Undefined if
 * the connector knows no options. Throws `INVALID_SETTING` naming each wrong field, below `at`.
 */
export function optionsOf(
  { name, options: schemaOf }: Pick<Connector, 'name' | 'options'>,
  { kind, options }: PoolAccess,
  at: string,
): PoolOptions | undefined {
  if (!schemaOf) {
    if (options === undefined) return undefined;
    throw invalidSetting(at, `${name} has no options`, 'models');
  }
  const schema = schemaOf(kind);
  const parsed = schema.safeParse(options ?? {});
  if (parsed.success) return parsed.data;
  throw invalidSettings(
    parsed.error.issues.map((issue) => {
      const meant = issue.code === 'unrecognized_keys' ? didYouMean(issue.keys[0] ?? '', keysOf(schema)) : '';
      // The key of a record is wrong: its own issue says how.
      const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
      return { field: [at, ...issue.path.map(String)].join('.'), message: `${message}${meant}` };
    }),
    'models',
  );
}

/** The names of the options themselves; those of nested objects are not suggested. */
const keysOf = (schema: object): string[] => {
  if ('shape' in schema && schema.shape) return Object.keys(schema.shape);
  // A schema with a transformation is that of what goes in, and more.
  return 'in' in schema && schema.in ? keysOf(schema.in) : [];
};
