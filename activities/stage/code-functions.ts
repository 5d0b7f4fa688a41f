import { MillraceError } from '../../pipelines/errors.js';
import { codeName } from '../../pipelines/stages/index.js';
import type { NamedCode } from '../../pipelines/stages/kind.js';

/** A worker's functions, looked up by the name and version in plans. */
export class CodeFunctions {
  readonly all: readonly NamedCode[];
  readonly #byName = new Map<string, NamedCode[]>();

  /** Throws `INVALID_PIPELINE` for two different functions with the same name and version. */
  constructor(functions: Iterable<NamedCode>) {
    const known = new Map<string, NamedCode>();
    for (const each of functions) {
      const name = codeName(each.name, each.version);
      const same = known.get(name);
      if (same && same.run !== each.run) {
        const version = each.sources === undefined && each.version !== undefined ? ` in version ${each.version}` : '';
        throw new MillraceError('INVALID_PIPELINE', `two different code functions are named "${each.name}"${version}`);
      }
      known.set(name, each);
    }
    this.all = [...known.values()];
    for (const each of this.all) this.#byName.set(each.name, [...(this.#byName.get(each.name) ?? []), each]);
  }

  /**
   * The function of this version, or a compatible one. Without a version, as in a plan that no deployment has loaded,
   * the only one of the name.
   */
  get(name: string, version?: string): NamedCode | undefined {
    const named = this.#byName.get(name) ?? [];
    if (version === undefined) return named.length === 1 ? named[0] : undefined;
    return named.find((each) => each.version === version) ?? named.find((each) => standsIn(each, version));
  }
}

/** Whether a body may run in place of another version of its function. */
function standsIn({ version, compatible }: NamedCode, other: string): boolean {
  if (compatible === undefined) return false;
  return compatible === true ? !isNewer(other, version ?? '') : compatible.includes(other);
}

const NUMBERS = /^\d+(\.\d+)*$/;

/** Whether the first of two numeric versions, such as `2` or `1.10`, is later. Builds have no order. */
function isNewer(one: string, other: string): boolean {
  if (!NUMBERS.test(one) || !NUMBERS.test(other)) return false;
  const [a, b] = [one, other].map((text) => text.split('.').map(Number)) as [number[], number[]];
  const i = a.findIndex((part, at) => part !== (b[at] ?? 0));
  return i >= 0 && (a[i] as number) > (b[i] ?? 0);
}
