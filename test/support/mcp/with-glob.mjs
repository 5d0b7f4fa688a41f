// The conformance suite imports `globSync`, which Node has from version 22, for a command that is not used here. Node 20 gets it
// from this hook: node --import ./test/support/mcp/with-glob.mjs …
import { register } from 'node:module';

const shim = 'export * from "node:fs"; export const globSync = () => [];';
const hook = `export const resolve = (specifier, context, next) =>
  specifier === 'fs' && /@modelcontextprotocol.conformance/.test(context.parentURL ?? '')
    ? { url: ${JSON.stringify(`data:text/javascript,${encodeURIComponent(shim)}`)}, shortCircuit: true }
    : next(specifier, context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
