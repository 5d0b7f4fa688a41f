export { type Explained, type ExplainedStage, explain, type PlacedBy, type Valued } from './explain.js';
export { explanationText } from './explain-text.js';
export { type Finding, findingLine, stageOf, WARNINGS, type WarningCode } from './finding.js';
export { mermaid, type Segments } from './mermaid.js';
export { planFindings } from './plan-findings.js';
export { svg } from './svg.js';
export { type Inspected, warningsOf } from './warnings.js';
