export { explain } from './explain.js';
export { explanationText } from './explain-text.js';
export { type Finding, findingLine, SOURCE_WARNINGS, stageOf, WARNINGS, type WarningCode } from './finding.js';
export { mermaid } from './mermaid.js';
export { planFindings } from './plan-findings.js';
export type { Segments } from './steps.js';
export { svg } from './svg.js';
export { type Inspected, warningsOf } from './warnings.js';
