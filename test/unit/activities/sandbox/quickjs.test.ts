import { afterAll, describe, expect, it } from 'vitest';
import { loadEngine, QuickJsSandbox } from '../../../../activities/sandbox/quickjs/index.js';
import type { Outcome, Program, SandboxLimits } from '../../../../activities/sandbox/sandbox.js';
import { caught } from '../../../support/caught.js';

const MEBIBYTE = 1024 * 1024;
const LIMITS: SandboxLimits = {
  timeMs: 20_000,
  memoryBytes: 32 * MEBIBYTE,
  outputCharacters: 2_000,
  fileBytes: 10_000,
};

const engine = await loadEngine();
const sandbox = new QuickJsSandbox(engine);
afterAll(() => sandbox.close());

type More = Partial<Omit<Program, 'limits'>> & { readonly limits?: Partial<SandboxLimits> };

function program(code: string, { limits, ...more }: More = {}): Program {
  return {
    language: 'javascript',
    code,
    files: [],
    tenant: 'default',
    idempotencyKey: 'run/answer/turn-1/run_code',
    signal: new AbortController().signal,
    ...more,
    limits: { ...LIMITS, ...limits },
  };
}
const run = (code: string, more?: More): Promise<Outcome> => sandbox.run(program(code, more));

/** Time for a program without end; it begins when the program does. */
const SHORT = { timeMs: 300 };
const SMALL = { memoryBytes: 16 * MEBIBYTE };

describe('what code gives', () => {
  it.each([
    ['1 + 1', 2],
    ['const all = [1, 2]; all.map((n) => 2 * n)', [2, 4]],
    ['await Promise.resolve(3)', 3],
    ['const sum = async () => 4; await sum()', 4],
    ['"text"', 'text'],
    ['null', null],
    ['({ a: 1n, m: new Map([[1, 2]]), s: new Set([1]) })', { a: '1', m: [[1, 2]], s: [1] }],
    ['new Date(0)', '1970-01-01T00:00:00.000Z'],
    ['[..."aab"].filter((c) => c === "a").length', 2],
  ])('%s', async (code, result) => {
    expect(await run(code)).toEqual({ result, stdout: '', files: [] });
  });

  it.each(['undefined', 'let x = 1;', '() => 1', ''])('has no result: %j', async (code) => {
    expect(await run(code)).toEqual({ stdout: '', files: [] });
  });

  it('is also what it prints', async () => {
    const code = 'console.log("a", { b: 1 }, [2], null, undefined); console.error(new Error("e")); console.info("ü");';
    expect(await run(code)).toEqual({ stdout: 'a {"b":1} [2] null undefined\nError: e\nü\n', files: [] });
  });

  it('is printed, too, where the code fails afterwards', async () => {
    const { stdout, error } = await run('console.log("so far"); null.x');
    expect(stdout).toBe('so far\n');
    expect(error).toMatch(/TypeError/);
  });
});

describe('files', () => {
  const files = [
    { name: 'a.csv', bytes: Buffer.from('n\n1\n2\nü\n') },
    { name: 'b.bin', bytes: Uint8Array.of(0, 255, 7) },
  ];

  it('are read: text as a text, anything else as bytes', async () => {
    const code = '[readFile("a.csv").split("\\n").length, readFile("a.csv").at(-2), Array.from(readFile("b.bin"))]';
    expect((await run(code, { files })).result).toEqual([5, 'ü', [0, 255, 7]]);
  });

  it('are made', async () => {
    const code = `
      writeFile('text.txt', 'ü');
      writeFile('bytes', Uint8Array.of(1, 0, 2));
      writeFile('part', new Uint8Array([1, 2, 3, 4]).subarray(1, 3));
      writeFile('text.txt', readFile('text.txt') + '!');`;
    const { files: made } = await run(code);
    expect(made.map(({ name, bytes }) => [name, Buffer.from(bytes).toString('hex')])).toEqual([
      ['text.txt', Buffer.from('ü!').toString('hex')],
      ['bytes', '010002'],
      ['part', '0203'],
    ]);
  });

  it.each([
    ['readFile("c")', {}, /there is no file "c" \(files: a\.csv, b\.bin\)/],
    ['writeFile("big", "x".repeat(10_001))', {}, /more than 10000 bytes/],
    ['for (let i = 0; i < 17; i++) writeFile("f" + i, "x")', {}, /more than 16 files/],
    ['writeFile("x", "y")', { fileBytes: 0 }, /files are not kept here/],
    ['writeFile("x", 1)', {}, /takes a string or a Uint8Array/],
    ['writeFile("x", "ü".repeat(6_000))', {}, /not all files are kept/],
  ])('are refused with the reason: %s', async (code, limits, message) => {
    expect((await run(code, { files, limits })).error).toMatch(message);
  });
});

describe('what is wrong with code is told so that it can be mended', () => {
  it.each([
    ['const a = 1;\nnull.x', /TypeError[\s\S]*code\.js:2/],
    ['let x = ;', /SyntaxError/],
    ['return 1', /SyntaxError/],
    ['throw "no"', /thrown: no/],
    ['throw { why: "no" }', /thrown: \{"why":"no"\}/],
    ['await Promise.reject(new RangeError("too far"))', /RangeError: too far/],
    ['await new Promise(() => {})', /waits for a promise that nothing settles/],
    ['require("fs")', /require.* is not defined/],
    ['fetch("http://127.0.0.1")', /fetch.* is not defined/],
    ['setTimeout(() => 1, 1)', /setTimeout.* is not defined/],
    ['const a = {}; a.a = a; a', /circular/i],
    ['"x".repeat(2_001)', /the result has more than 2000 characters/],
  ])('%s', async (code, message) => {
    const { error, result } = await run(code);
    expect(error).toMatch(message);
    expect(result).toBeUndefined();
  });

  it.each(['await import("fs")', 'await import("node:fs")', 'await import("./thread.js")', 'import "fs"; 1'])(
    '%s: there is nothing to import',
    async (code) => {
      const { error, result } = await run(code);
      expect(error).toBeTruthy();
      expect(result).toBeUndefined();
    },
  );
});

describe('attacks', () => {
  it.each([
    ['a loop', 'for (;;);'],
    ['a loop that catches its end', 'for (;;) { try { for (;;); } catch {} }'],
    ['a loop of promises', 'const again = () => Promise.resolve().then(again); await again();'],
    ['a loop that awaits', 'for (;;) await 0;'],
    ['a loop that is left behind', '(async () => { for (;;) await 0; })(); 1'],
    ['a loop in a generator', 'function* all() { for (;;) yield 1; } let n = 0; for (const i of all()) n += i;'],
    ['a loop in what makes the result JSON', '({ toJSON() { for (;;); } })'],
    ['a loop in a getter of what is thrown', 'throw { get why() { for (;;); } };'],
    ['a regular expression that backtracks', '/^(a+)+$/.test("a".repeat(60) + "!")'],
    ['a sort without end', '[3, 2, 1].sort(() => { for (;;); })'],
    ['a proxy', 'new Proxy({}, { get() { for (;;); } }).x'],
    ['a result that is nested very deep', 'let o = 0; for (let i = 0; i < 100_000; i++) o = [o]; o'],
    // No interrupt is looked at within it: the thread is killed.
    ['a loop of the interpreter’s own', 'Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)'],
  ])('%s is stopped', async (_, code) => {
    const { error, result } = await run(code, { limits: SHORT });
    expect(error).toMatch(/longer than 300 ms|cannot be shown|broke off/);
    expect(result).toBeUndefined();
  });

  it('what was printed before an endless loop is there', async () => {
    const endless = () => run('console.log("begun"); for (;;);', { limits: SHORT });
    // Where the machine stands still, the thread is killed before it hands over what it has.
    const { stdout, error } = await caught('what was printed', async () => {
      const outcome = await endless();
      return outcome.stdout === '' ? undefined : outcome;
    });
    expect({ stdout, error }).toEqual({ stdout: 'begun\n', error: expect.stringContaining('300 ms') });
  });

  it.each([
    ['bytes', 'const all = []; for (;;) all.push(new Uint8Array(1_000_000).fill(1));'],
    ['one large block', 'new ArrayBuffer(2 ** 30)'],
    ['texts', 'let s = "xy"; const all = []; for (;;) { s += s; all.push(s); }'],
    ['objects', 'let o = {}; for (;;) o = { o };'],
    ['a long list', 'const a = []; for (;;) a.push({}, {}, {});'],
    ['texts that are kept', 'const s = "x".repeat(1_000_000); const all = []; for (;;) all.push(s + Math.random());'],
  ])('too much memory is refused: %s', async (_, code) => {
    const { error, result } = await run(code, { limits: SMALL });
    expect(error).toMatch(/memory|string too long|invalid (string|array) (buffer )?length|broke off/i);
    expect(result).toBeUndefined();
  });

  it.each([
    ['a function', 'const f = (n) => 1 + f(n + 1); f(0)'],
    ['JSON', 'let o = 0; for (let i = 0; i < 900; i++) o = [o]; o'],
    ['a getter', 'const o = { get x() { return this.x; } }; o.x'],
    ['toString', 'const o = { toString() { return "" + o; } }; "" + o'],
    ['a regular expression', 'new RegExp("(?:".repeat(50_000) + ")".repeat(50_000))'],
    ['parsing', 'eval("[".repeat(100_000) + "]".repeat(100_000))'],
  ])('too deep a recursion is refused: %s', async (_, code) => {
    const { error, result } = await run(code);
    expect(error).toMatch(/stack|recurs|nested|circular|memory/i);
    expect(result).toBeUndefined();
  });

  it('much output is cut before it is copied', async () => {
    const { stdout, error } = await run('for (let i = 0; i < 100_000; i++) console.log("x".repeat(100));');
    // One more than the most: whoever shows it says that there was more.
    expect(stdout).toHaveLength(2_001);
    expect(error).toBeUndefined();
    expect((await run('throw new Error("x".repeat(1_000_000))')).error?.length).toBeLessThan(5_000);
  });

  it('after them all a call is served as ever', async () => {
    expect((await run('6 * 7')).result).toBe(42);
  });
});

describe('there is no way to the host', () => {
  it('in what is global', async () => {
    const { result } = await run('Object.getOwnPropertyNames(globalThis)');
    const names = result as string[];
    expect(names).toContain('readFile');
    const foreign = [
      'process',
      'require',
      'module',
      'Buffer',
      'fetch',
      'WebAssembly',
      'Worker',
      'setTimeout',
      'std',
      'os',
    ];
    expect(names.filter((name) => [...foreign, 'scriptArgs'].includes(name))).toEqual([]);
  });

  it.each([
    'this.constructor.constructor("return typeof process")()',
    '[].constructor.constructor("return typeof process")()',
    'console.log.constructor("return typeof process")()',
    'readFile.constructor.constructor("return typeof process")()',
    '(async () => {}).constructor("return typeof process")().then((t) => t)',
    'let t; try { null.x } catch (e) { t = e.constructor.constructor("return typeof process")() } t',
    'let t; try { readFile("no") } catch (e) { t = e.constructor.constructor("return typeof process")() } t',
    'let t; try { await import("fs") } catch (e) { t = e.constructor.constructor("return typeof process")() } t',
    'eval("typeof process")',
    '(0, eval)("typeof process")',
    'Reflect.construct(Function, ["return typeof process"])()',
  ])('by %s', async (code) => {
    const { result } = await run(
      `await (${code.startsWith('let') ? `async () => { ${code.replace(/ t$/, ' return t')} }` : `async () => (${code})`})()`,
    );
    expect(result).toBe('undefined');
  });

  it.each([
    ['String.prototype.replaceAll = () => "x".repeat(1e7); console.log("a"); 1', { result: 1, stdout: '' }],
    ['writeFile("a", "b"); Map.prototype.keys = null; 1', { result: 1, files: [] }],
    ['Object.defineProperty(Map.prototype, "size", { get: () => 1e9 }); 1', { result: 1, files: [] }],
    ['JSON.stringify = () => "x".repeat(1e6); 1', { error: expect.stringContaining('more than 2000') }],
    ['JSON.stringify = () => "{"; 1', { error: expect.stringContaining('not JSON') }],
    ['JSON.stringify = () => ({ length: 1, toString: () => "7" }); 1', { stdout: '' }],
    ['Array.prototype.map = () => { throw 1; }; 2', { result: 2 }],
    ['delete globalThis.console; globalThis.readFile = null; 3', { result: 3 }],
  ])('by changing what reads the outcome: %s', async (code, expected) => {
    expect(await run(code)).toMatchObject(expected);
  });

  it('by what the result is parsed to', async () => {
    const { result } = await run('JSON.parse(\'{"__proto__": {"polluted": true}, "constructor": 1}\')');
    expect(Object.keys(result as object)).toEqual(['__proto__', 'constructor']);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('calls', () => {
  it('see nothing of each other, one after the other', async () => {
    await run('globalThis.secret = "s3cret"; Array.prototype.leak = 1; writeFile("kept", "s3cret"); 1', {
      tenant: 'a',
    });
    const { result } = await run('[typeof secret, [].leak === undefined, Object.keys(globalThis).includes("secret")]', {
      tenant: 'b',
    });
    expect(result).toEqual(['undefined', true, false]);
    expect((await run('readFile("kept")', { tenant: 'b' })).error).toMatch(/no file "kept" \(files: none\)/);
  });

  it('see nothing of each other, at once', async () => {
    const code = (i: number) => `globalThis.own ??= ${i}; for (let n = 0; n < 20_000; n++) globalThis.own += 0; own`;
    const all = await Promise.all(Array.from({ length: 6 }, (_, i) => run(code(i + 1))));
    expect(all.map(({ result }) => result)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('are left at an abort, with its reason', async () => {
    const controller = new AbortController();
    const reason = new Error('the run was cancelled');
    const call = run('for (;;);', { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 100);
    await expect(call).rejects.toBe(reason);
    await expect(run('1', { signal: controller.signal })).rejects.toBe(reason);
  });

  it('end with the sandbox', async () => {
    const own = new QuickJsSandbox(engine);
    const call = own.run(program('for (;;);'));
    call.catch(() => undefined);
    setTimeout(() => void own.close(), 100);
    await expect(call).rejects.toMatchObject({ code: 'SANDBOX_UNAVAILABLE' });
    await expect(own.run(program('1'))).rejects.toMatchObject({ code: 'SANDBOX_UNAVAILABLE' });
  });
});
