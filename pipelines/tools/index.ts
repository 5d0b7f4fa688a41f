export { type CodeToolLimits, type CodeToolOptions, codeTool } from './code-tool.js';
export {
  type GuardrailInput,
  type GuardrailOptions,
  type GuardrailVerdict,
  guardrail,
} from './guardrail.js';
export { httpTool } from './http-tool.js';
export { mcpTools, type ToolServer } from './mcp-tools.js';
export { openapiTool } from './openapi-tool.js';
export { type PipelineToolOptions, pipelineTool } from './pipeline-tool.js';
export { stageTool } from './stage-tool.js';
export { type Guardrail, type Tool, type ToolOptions, type ToolPolicy, tool } from './tool.js';
