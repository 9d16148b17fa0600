// kernels fill their scratch before they read it: clearing it first would cost more than some of them do
[module: System.Runtime.CompilerServices.SkipLocalsInit]
