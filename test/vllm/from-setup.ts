/** What test/support/vllm.ts has started. */
export function fromSetup(name: 'BASE_URL' | 'MODEL' | 'PYTHON'): string {
  const value = process.env[`TEST_VLLM_${name}`];
  if (value === undefined) throw new Error(`TEST_VLLM_${name} is not set: these tests run by npm run test:vllm`);
  return value;
}
