import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Entry {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly engines?: { readonly node?: string };
  /** Systems for which npm installs it; absent: all. */
  readonly os?: readonly string[];
}

/** Those that the package supports. */
const SYSTEMS = ['linux', 'darwin'];

const read = (file: string): unknown => JSON.parse(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8'));

/** Whether a release meets a range such as `^20.19.0 || >= 22.13`: all the forms that packages write for Node. */
function admits(range: string, release: readonly number[]): boolean {
  const compare = (wanted: readonly number[]) => {
    const at = wanted.findIndex((part, i) => part !== (release[i] ?? 0));
    return at < 0 ? 0 : (release[at] ?? 0) - (wanted[at] ?? 0);
  };
  return range.split('||').some((alternative) =>
    alternative
      .replaceAll(/([<>=^~])\s+/g, '$1')
      .trim()
      .split(/\s+/)
      .every((comparator) => {
        const [, operator = '', version = ''] = /^([<>=^~]*)v?([\d.]*)/.exec(comparator) ?? [];
        const wanted = version.split('.').filter(Boolean).map(Number);
        if (operator === '<') return compare(wanted) < 0;
        if (operator === '<=') return compare(wanted) <= 0;
        if (operator === '>') return compare(wanted) > 0;
        if (operator === '>=') return compare(wanted) >= 0;
        if (operator === '^') return release[0] === wanted[0] && compare(wanted) >= 0;
        return compare(wanted) === 0; // a bare `20`, or `*`
      }),
  );
}

/** The packages that an installation of Millrace brings, its peers among them, which the lock file counts as for development. */
function installedWith(packages: Readonly<Record<string, Entry>>): readonly (readonly [string, Entry])[] {
  const all = new Map<string, Entry>();
  const add = (from: string) => {
    const entry = packages[from] as Entry;
    const { dependencies, optionalDependencies, peerDependencies } = entry;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const at = folders(from)
        .map((folder) => `${folder}node_modules/${name}`)
        .find((each) => each in packages);
      // An optional peer may be absent.
      if (at === undefined || all.has(at)) continue;
      const { os = SYSTEMS } = packages[at] as Entry;
      if (!os.some((system) => SYSTEMS.includes(system))) continue;
      all.set(at, packages[at] as Entry);
      add(at);
    }
  };
  add('');
  return [...all];
}

/** The folders in which a package’s own dependencies are looked up, the nearest first. */
function folders(from: string): readonly string[] {
  const parts = from === '' ? [] : from.split('/node_modules/');
  return [...parts.map((_, i) => `${parts.slice(0, parts.length - i).join('/node_modules/')}/`), ''];
}

test('ranges are read as npm does', () => {
  const twenty = [20, 19, 0];
  for (const range of ['*', '>=20', '>= 0.6', '^20.19.0 || >=22.12.0', '18 || 20 || >=22', '>=18.0.0 <23', '20.x']) {
    expect(admits(range, twenty), range).toBe(true);
  }
  for (const range of ['>=22', '^18', '^20.20.0 || >=22', '18 || 19', '>=18 <20', '>20.19']) {
    expect(admits(range, twenty), range).toBe(false);
  }
});

test('no package that Millrace brings refuses a Node that Millrace takes', () => {
  const { engines, overrides } = read('package.json') as { engines: { node: string }; overrides: object };
  expect(engines.node).toBe('>=20.19');
  const { packages } = read('package-lock.json') as { packages: Record<string, Entry> };
  const brought = installedWith(packages);
  expect(brought.length).toBeGreaterThan(100);
  for (const release of [
    [20, 19, 0],
    [22, 13, 0],
    [24, 0, 0],
  ]) {
    const refusing = brought.filter(([, entry]) => entry.engines?.node && !admits(entry.engines.node, release));
    expect(refusing.map(([name, { engines }]) => `${name} wants ${engines?.node}`)).toEqual([]);
  }
  // They hold for this repository only, not for those who depend on it: see `light-my-request` among the dependencies.
  const names = brought.map(([name]) => name.replace(/^.*node_modules\//, ''));
  expect(names.filter((name) => Object.keys(overrides).includes(name))).toEqual([]);
});
