namespace MoeSharp;

/// <summary>The root of the errors that MoeSharp raises about its own domain: files, models and runs that are not what they should be.</summary>
public class MoeException : Exception
{
    /// <summary>Creates an error without a message of its own.</summary>
    public MoeException()
    {
    }

    /// <summary>Creates an error that says what was found, what was expected, where, and what to do.</summary>
    public MoeException(string message)
        : base(message)
    {
    }

    /// <summary>Creates an error that also carries what caused it.</summary>
    public MoeException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}
