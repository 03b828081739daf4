<?php
$client = new GearmanClient();
$client->addServer('127.0.0.1', 4730);
$client->setExceptionCallback(fn (GearmanTask $task) => print("raised: {$task->data()}\n"));

echo $client->doNormal('reverse', '!dlrow olleH'), "\n";

$handle = $client->doBackground('reverse', 'later');
[$known, $running, $numerator, $denominator] = $client->jobStatus($handle);
