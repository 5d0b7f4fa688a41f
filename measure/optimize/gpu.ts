import { shellLine } from '../../placement/apply/index.js';
import type { OutputFile } from './output-file.js';
import type { Report } from './report.js';

const NOTE = '# Needs a GPU: written by millrace optimize, and not run by it.\n';

/** Shapes of an encoder's three inputs: the smallest, the one that is made fastest, and the largest. */
const SHAPES = { minShapes: '1x1', optShapes: '8x64', maxShapes: '32x256' } as const;
const INPUTS = ['input_ids', 'attention_mask', 'token_type_ids'] as const;

/** TensorRT as an accelerator of Triton's ONNX Runtime: it takes the tensors of the graph, not texts. */
export const tensorrtConfig = (dimensions: number): string => `${NOTE}backend: "onnxruntime"
max_batch_size: 32
input [
${INPUTS.map((name) => `  { name: "${name}" data_type: TYPE_INT64 dims: [ -1 ] }`).join(',\n')}
]
output [ { name: "last_hidden_state" data_type: TYPE_FP32 dims: [ -1, ${dimensions} ] } ]
instance_group [ { count: 1 kind: KIND_GPU } ]
dynamic_batching { max_queue_delay_microseconds: 2000 }
optimization { execution_accelerators { gpu_execution_accelerator [ {
  name: "tensorrt"
  parameters { key: "precision_mode" value: "FP16" }
  parameters { key: "max_workspace_size_bytes" value: "1073741824" }
} ] } }
`;

/** vLLM's ways to quantise while it loads, of weights that are in 16 bits. */
export const VLLM_QUANTISATIONS: Readonly<Record<string, readonly string[]>> = {
  fp8: ['--quantization', 'fp8'],
  'fp8-cache': ['--quantization', 'fp8', '--kv-cache-dtype', 'fp8'],
  bitsandbytes: ['--quantization', 'bitsandbytes', '--load-format', 'bitsandbytes'],
};

/** The words of vLLM's command line for one of its ways to quantise. */
export const vllmQuantisation = (model: string, name: string, weights: string): readonly string[] => [
  ...['vllm', 'serve', weights, '--served-model-name', `${model}-${name}`],
  ...(VLLM_QUANTISATIONS[name] ?? []),
];

/** Command lines and configurations for what only runs on a GPU. */
export function gpuFiles({ model, family, variants, dimensions = 0 }: Report): readonly OutputFile[] {
  const [original] = variants;
  if (family === 'embed' && original) {
    const shapes = Object.entries(SHAPES).map(
      ([option, shape]) => `--${option}=${INPUTS.map((name) => `${name}:${shape}`).join(',')}`,
    );
    const line = shellLine([
      'trtexec',
      `--onnx=${original.weights}`,
      `--saveEngine=${model}.plan`,
      '--fp16',
      ...shapes,
    ]);
    return [
      { path: 'gpu/trtexec.sh', text: `#!/bin/sh\n${NOTE}exec ${line}\n` },
      { path: `gpu/${model}-tensorrt/config.pbtxt`, text: tensorrtConfig(dimensions) },
    ];
  }
  if (family !== 'chat') return [];
  const lines = Object.keys(VLLM_QUANTISATIONS).map(
    (name) => `# ${name}\n# ${shellLine(vllmQuantisation(model, name, 'WEIGHTS'))}\n`,
  );
  return [
    {
      path: 'gpu/vllm.sh',
      text: `#!/bin/sh\n${NOTE}# Take one line, with the folder or repository of the weights in 16 bits in place of WEIGHTS.\n${lines.join('')}`,
    },
  ];
}
