/** A gauge or counter of vLLM's, of all its engines. */
export async function counter(endpoint: string, name: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', endpoint))).text();
  const values = [...text.matchAll(new RegExp(`^vllm:${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))];
  if (values.length === 0) throw new Error(`vLLM counts no ${name}`);
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}
