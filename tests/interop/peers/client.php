<?php
// A client of PHP's extension (libgearman), driven by JSON lines; tests/interop/clients.py tells what they mean.
declare(strict_types=1);

function shown(string $data): string
{
    return base64_encode(strlen($data) <= 1024 ? $data : 'sha256 ' . hash('sha256', $data) . ' of ' . strlen($data));
}

function workload(string $text): string
{
    if ($text === '' || $text[0] !== '@') {
        return base64_decode($text, true);
    }
    $pattern = implode('', array_map('chr', range(0, 255)));
    return substr(str_repeat($pattern, intdiv((int) substr($text, 1), 256) + 1), 0, (int) substr($text, 1));
}

function failed(GearmanClient $client, string $doing): never
{
    fwrite(STDERR, "$doing: {$client->returnCode()} {$client->error()}\n");
    exit(1);
}

$client = new GearmanClient();
$client->addServer('127.0.0.1', (int) $argv[1]);
$client->setTimeout(60000);
$client->enableExceptionHandler() || failed($client, 'exceptions');

$outcomes = [];
$client->setDataCallback(function (GearmanTask $task, int $i) use (&$outcomes): void {
    $outcomes[$i]['data'][] = shown($task->data());
});
$client->setWarningCallback(function (GearmanTask $task, int $i) use (&$outcomes): void {
    $outcomes[$i]['warnings'][] = shown($task->data());
});
$client->setStatusCallback(function (GearmanTask $task, int $i) use (&$outcomes): void {
    $outcomes[$i]['progress'] = [$task->taskNumerator(), $task->taskDenominator()];
});
$client->setCompleteCallback(function (GearmanTask $task, int $i) use (&$outcomes): void {
    $outcomes[$i]['end'] = 'complete';
    $outcomes[$i]['result'] = shown($task->data());
});
$client->setExceptionCallback(function (GearmanTask $task, int $i) use (&$outcomes): void {
    $outcomes[$i]['end'] = 'exception';
    $outcomes[$i]['result'] = shown($task->data());
});
$client->setFailCallback(function (GearmanTask $task, int $i) use (&$outcomes): void {
    $outcomes[$i]['end'] = 'fail';
});

while (($line = fgets(STDIN)) !== false) {
    $step = json_decode($line, true, 16, JSON_THROW_ON_ERROR);
    switch ($step['do']) {
        case 'run':
            $add = ['high' => 'addTaskHigh', 'normal' => 'addTask', 'low' => 'addTaskLow'];
            $outcomes = [];
            foreach ($step['jobs'] as $i => $job) {
                $outcomes[$i] = ['data' => [], 'warnings' => [], 'progress' => null, 'end' => '', 'result' => ''];
                $client->{$add[$job['priority']]}($job['function'], workload($job['workload']), $i, $job['unique'])
                    || failed($client, 'add');
            }
            $client->runTasks();
            $answer = $outcomes;
            break;
        case 'do':
            $job = $step['jobs'][0];
            $answer = shown($client->doNormal($job['function'], workload($job['workload']), $job['unique']));
            $client->returnCode() === GEARMAN_SUCCESS || failed($client, 'do');
            break;
        case 'submit':
            $submit = ['high' => 'doHighBackground', 'normal' => 'doBackground', 'low' => 'doLowBackground'];
            $job = $step['jobs'][0];
            $answer = $client->{$submit[$job['priority']]}($job['function'], workload($job['workload']), $job['unique']);
            $client->returnCode() === GEARMAN_SUCCESS || failed($client, 'submit');
            break;
        case 'status':
            $answer = array_map('intval', $client->jobStatus($step['handle']));
            break;
        case 'status_by_unique':
            $answer = array_map('intval', $client->jobStatusByUniqueKey($step['unique']));
            break;
        case 'echo':
            $answer = $client->ping(workload($step['workload']));
            break;
    }
    echo json_encode($answer, JSON_THROW_ON_ERROR), "\n";
}
