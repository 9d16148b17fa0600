Console.WriteLine($"sum {Library.Sums.UpTo(10)}");
