/** Layer rules: who may import whom. The picture is in docs/architecture.md. */
const impure =
  '^(node:)?(fs|net|http|https|child_process|os|dgram|tls|worker_threads|timers|perf_hooks|cluster)(/|$)';
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'core-is-pure',
      comment: 'The core folds events; it knows no NATS, gRPC, file, clock or process.',
      severity: 'error',
      from: { path: '^services/coordinator/core/' },
      to: {
        pathNot: [
          '^services/coordinator/core/',
          '^proto/(?!grpc)',
          '^(node:)?crypto$',
          'node_modules/fastest-levenshtein',
          'node_modules/mathjs',
        ],
      },
    },
    {
      name: 'core-without-io',
      severity: 'error',
      from: { path: '^services/coordinator/core/' },
      to: { path: impure },
    },
    {
      name: 'services-share-only-proto',
      severity: 'error',
      from: { path: '^services/([^/]+)/' },
      to: { path: '^(services|client|cli|dashboards)/', pathNot: '^services/$1/' },
    },
    {
      name: 'proto-imports-nothing-of-ours',
      severity: 'error',
      from: { path: '^proto/' },
      to: { path: '^(services|client|cli|dashboards|test)/' },
    },
    {
      name: 'client-knows-only-proto',
      comment: "What programs import: the API's contract, and no service.",
      severity: 'error',
      from: { path: '^client/' },
      to: { path: '^(services|cli|dashboards|test|setup)/' },
    },
    {
      name: 'trainer-service-never-touches-tensorflow',
      comment: 'Only the child process (runner/) does: a native crash then kills one attempt, not the box.',
      severity: 'error',
      from: { path: '^services/trainer/', pathNot: '^services/trainer/runner/' },
      to: { path: ['@tensorflow', '^services/trainer/runner/'] },
    },
    {
      name: 'coordinator-never-touches-tensorflow',
      severity: 'error',
      from: { path: '^services/coordinator/' },
      to: { path: '@tensorflow' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
